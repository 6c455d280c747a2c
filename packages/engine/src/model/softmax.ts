/**
 * Logits → probabilities.
 *
 * @module
 */

/**
 * e^(logit / temperature) over their sum; the largest is taken off first, so that no exponential overflows.
 *
 * @param out as long as `logits`; a new one by default
 */
export function probabilities(
  logits: Float32Array,
  temperature = 1,
  out = new Float32Array(logits.length),
): Float32Array {
  let largest = -Infinity
  for (const logit of logits) if (logit > largest) largest = logit
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const power = Math.exp((logits[i]! - largest) / temperature)
    out[i] = power
    sum += power
  }
  for (let i = 0; i < out.length; i++) out[i] = out[i]! / sum
  return out
}
