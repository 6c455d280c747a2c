/**
 * Whether WebAssembly has vector instructions here: the kernels are chosen by it, and the page tells people.
 *
 * @module
 */

/** (func (result v128) i32.const 0 i8x16.splat) */
const simdModule = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
])

/** Chromium 91, Firefox 89, Safari 16.4; on x86 the processor needs SSE4.1 too. */
export function hasSimd(): boolean {
  return WebAssembly.validate(simdModule)
}
