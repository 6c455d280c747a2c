/**
 * The factors by which Llama 3.1 and 3.2 divide RoPE's frequencies.
 *
 * Source: `rope_scaling` of their config.json (low_freq_factor 1, high_freq_factor 4, 8192 original positions).
 *
 * @module
 */
const originalPositions = 8192
const lowTurns = 1
const highTurns = 4

/** @returns (headDim / 2) 1 for turns that the original context saw four times, `slowest` for those it never saw whole */
export function ropeFactors(headDim: number, ropeBase: number, slowest: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const turns = originalPositions / (2 * Math.PI * ropeBase ** ((2 * i) / headDim))
    const share = Math.min(1, Math.max(0, (turns - lowTurns) / (highTurns - lowTurns)))
    return 1 / ((1 - share) / slowest + share)
  })
}
