/**
 * IEEE 754 binary16, the 'F16' of GGUF: 1 sign, 5 exponent (bias 15) and 10 fraction bits.
 *
 * @module
 */

/** Distance between neighbouring halves, by exponent. */
const steps = Float64Array.from({ length: 31 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25))

/** The number that 16 bits stand for; exact, since every f16 is an f32. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? fraction : 1024 + fraction) * steps[exponent]!
}

const word = new DataView(new ArrayBuffer(4))

/** The nearest f16, ties to even; beyond 65,504 (rounded) it is ±infinity. */
export function floatToHalf(value: number): number {
  word.setFloat32(0, value)
  const bits = word.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fff_ffff
  if (magnitude > 0x7f80_0000) return sign | 0x7e00
  // 65,520 lies half way between the largest f16 and the next power of two.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00
  if (magnitude < 0x3880_0000) {
    // Subnormal: a whole number of 2^-24.
    return sign | roundToEven(Math.abs(Math.fround(value)) * 2 ** 24)
  }
  const rebased = magnitude - (112 << 23)
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
}

function roundToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

type Float16ArrayConstructor = new (
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
) => ArrayLike<number> & { set(values: ArrayLike<number>): void }

/** Chrome 135, Firefox 129, Safari 18.2; not in Node 20. */
const Float16 = (globalThis as { Float16Array?: Float16ArrayConstructor }).Float16Array

/** Writes `values` as halves, natively where the browser can. */
export function encodeHalves(values: Float32Array, out: Uint16Array): void {
  if (Float16) new Float16(out.buffer, out.byteOffset, out.length).set(values)
  else for (let i = 0; i < values.length; i++) out[i] = floatToHalf(values[i]!)
}

let numbers: Float32Array | null = null

/** Reads halves, natively where the browser can, else from a table of all 65,536. */
export function decodeHalves(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length)
  if (Float16) {
    values.set(new Float16(halves.buffer, halves.byteOffset, halves.length))
    return values
  }
  numbers ??= Float32Array.from({ length: 0x1_0000 }, (_, bits) => halfToFloat(bits))
  for (let i = 0; i < halves.length; i++) values[i] = numbers[halves[i]!]!
  return values
}
