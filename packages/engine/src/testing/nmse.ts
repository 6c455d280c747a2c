/**
 * mse(got − want) / mse(want): 0 is equal, 1 is as wrong as answering zero. The measure of ggml's test-backend-ops.
 *
 * @module
 */
export function nmse(got: Float32Array, want: Float32Array): number {
  if (got.length !== want.length) throw new RangeError(`${got.length} values for ${want.length}`)
  let error = 0
  let size = 0
  for (let i = 0; i < want.length; i++) {
    error += (got[i]! - want[i]!) ** 2
    size += want[i]! ** 2
  }
  if (error === 0) return 0
  return size === 0 ? Infinity : error / size
}
