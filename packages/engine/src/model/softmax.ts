/**
 * Logits → probabilities.
 *
 * @module
 */

/** e^logit over their sum; the largest is taken off first, so that no exponential overflows. */
export function probabilities(logits: Float32Array): Float32Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const powers = logits.map((logit) => Math.exp(logit - largest))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}
