// What the instruction set leaves out: the variant being built, and small vector functions that every kernel shares. None
// but f16At can be called without SIMD (scalar/numbers.ts).

/** The 32-bit dot product is one instruction on ARM and on x86 with AVX-VNNI. */
export const relaxed: bool = ASC_FEATURE_RELAXED_SIMD
/** Sums of products stay in 16 bits as long as they fit: faster where the 32-bit dot product is three instructions. */
export const shortSums: bool = isDefined(SHORT_SUMS)

/** a · b + c, in one rounding where the machine has it. */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (relaxed) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}

/** What f16 bits, moved to where f32 has them, lack in their exponent. */
export const HALF_EXPONENT: f32 = reinterpret<f32>(0x77800000) // 2^112

/** Where the bits of an f16 may be, moved to where f32 has them. */
export const HALF_BITS: u32 = 0x8fffffff

/**
 * The first four of eight f16, times 2^-112: exponent and mantissa are moved as they are, so that subnormals come out
 * right as well. Infinity and NaN become large numbers; neither weights nor caches have them.
 *
 * @param bits {@link HALF_BITS} in every lane: a constant inside a loop is made anew each time round
 */
export function f16LowRaw(h: v128, bits: v128): v128 {
  return v128.and(i32x4.shl(i32x4.extend_low_i16x8_s(h), 13), bits)
}

/** The last four of eight f16, times 2^-112. */
export function f16HighRaw(h: v128, bits: v128): v128 {
  return v128.and(i32x4.shl(i32x4.extend_high_i16x8_s(h), 13), bits)
}

// What f16Low and f16High need in every lane; a loop makes it before it starts.

/** Of an f16's bits, moved to where the upper half of an f32 has them: all but copies of the sign. */
export const F16_KEPT: i16 = -0x7001 // 0x8fff
/** What its exponent lacks there. */
export const F16_LACKS: i16 = 0x3800 // 112 << 7
/** The bits of -2^-14, the least normal f16. */
export const F16_LEAST: u32 = 0xb8800000

/** The first four of eight f16 as f32. */
export function f16Low(
  h: v128,
  kept: v128 = i16x8.splat(F16_KEPT),
  lacks: v128 = i16x8.splat(F16_LACKS),
  least: v128 = i32x4.splat(F16_LEAST),
): v128 {
  const upper = i16x8.add(v128.and(i16x8.shr_s(h, 3), kept), lacks)
  return withSubnormals(v128.shuffle<i16>(i16x8.shl(h, 13), upper, 0, 8, 1, 9, 2, 10, 3, 11), least)
}

/** The last four of eight f16 as f32. */
export function f16High(
  h: v128,
  kept: v128 = i16x8.splat(F16_KEPT),
  lacks: v128 = i16x8.splat(F16_LACKS),
  least: v128 = i32x4.splat(F16_LEAST),
): v128 {
  const upper = i16x8.add(v128.and(i16x8.shr_s(h, 3), kept), lacks)
  return withSubnormals(v128.shuffle<i16>(i16x8.shl(h, 13), upper, 4, 12, 5, 13, 6, 14, 7, 15), least)
}

/**
 * Corrects what were subnormal f16: v reads their zero exponent as 2^-15 and an implicit 1. Right is 2 · v - 2^-14, which is less
 * than v; for others what is subtracted is at most v, so that v is the lesser. Scales of small weights are subnormal: as a
 * subnormal f32, times 2^112, each would take some processors longer than a block.
 */
function withSubnormals(v: v128, least: v128): v128 {
  const twice = f32x4.add(v, v)
  return i32x4.min_u(v, f32x4.sub(twice, v128.and(twice, least)))
}

/** One f16 as f32. */
export function f16At(p: usize): f32 {
  const bits = (((<u32>(<i32>load<i16>(p))) << 13) & HALF_BITS) + ((<u32>F16_LACKS) << 16)
  const v = reinterpret<f32>(bits)
  const twice = v + v
  const less = twice - reinterpret<f32>(reinterpret<u32>(twice) & F16_LEAST)
  return reinterpret<f32>(min(bits, reinterpret<u32>(less)))
}

/**
 * Four f32 as f16, rounded to nearest even, in the low half of each i32 lane.
 *
 * Source: the rounding by a magic addition is that of Maratyszcza's FP16 library (fp16_ieee_from_fp32_value).
 */
export function f16Narrowed(x: v128): v128 {
  const huge = f32x4.splat(HALF_EXPONENT)
  const tiny = f32x4.splat(reinterpret<f32>(0x08800000)) // 2^-110
  const base = f32x4.mul(f32x4.mul(f32x4.abs(x), huge), tiny)
  const doubled = i32x4.shl(x, 1)
  const bias = i32x4.max_u(v128.and(doubled, i32x4.splat(0xff000000)), i32x4.splat(0x71000000))
  const bits = f32x4.add(i32x4.add(i32x4.shr_u(bias, 1), i32x4.splat(0x07800000)), base)
  const exponent = v128.and(i32x4.shr_u(bits, 13), i32x4.splat(0x7c00))
  const mantissa = v128.and(bits, i32x4.splat(0x0fff))
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000))
  const magnitude = i32x4.add(exponent, mantissa)
  const isNan = i32x4.gt_u(doubled, i32x4.splat(0xff000000))
  return v128.or(sign, v128.bitselect(i32x4.splat(0x7e00), magnitude, isNan))
}

/** Eight f32 as eight f16. */
export function f16Packed(low: v128, high: v128): v128 {
  return v128.shuffle<i16>(f16Narrowed(low), f16Narrowed(high), 0, 2, 4, 6, 8, 10, 12, 14)
}

/** The sum of four f32. */
export function sumF32(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1))
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1)
}

/** The largest of four f32. */
export function maxF32(v: v128): f32 {
  const pairs = f32x4.pmax(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1))
  return f32x4.extract_lane(f32x4.pmax(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2)), 0)
}

/** The sum of four i32. */
export function sumI32(v: v128): i32 {
  const pairs = i32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1))
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1)
}

/**
 * e^x within 2 ulp, for x from -87 to 88; beyond, the nearest end.
 *
 * Source: the polynomial of Cephes' expf, on x reduced by multiples of ln 2.
 */
export function exp(x: v128): v128 {
  // pmin and pmax are one instruction where min and max are several, and keep NaN in this order
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87)), f32x4.splat(88))
  // so large a number has no room for fractions: added, it rounds, and leaves the integer in the lowest bits
  const large = f32x4.splat(12582912) // 1.5 · 2^23
  const shifted = madd(clamped, f32x4.splat(1.44269504088896341), large)
  const n = f32x4.sub(shifted, large)
  const r = madd(n, f32x4.splat(2.1219444e-4), madd(n, f32x4.splat(-0.693359375), clamped))
  let y = f32x4.splat(1.98756915e-4)
  y = madd(y, r, f32x4.splat(1.3981999507e-3))
  y = madd(y, r, f32x4.splat(8.3334519073e-3))
  y = madd(y, r, f32x4.splat(4.1665795894e-2))
  y = madd(y, r, f32x4.splat(1.6666665459e-1))
  y = madd(y, r, f32x4.splat(5.0000001201e-1))
  y = f32x4.add(madd(f32x4.mul(r, r), y, r), f32x4.splat(1))
  return f32x4.mul(y, i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23))
}

/** Adds four bytes of each of four rows times as many of x, as the variant has sums. With relaxed dot products only. */
export function dotBytes(sum: v128, x: v128, w: v128): v128 {
  if (shortSums) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w))
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum)
}

/** The first four of eight i16, each twice: what a product of pairs wants beside sums of pairs. */
function twiceLow(v: v128): v128 {
  return v128.shuffle<i16>(v, v, 0, 0, 1, 1, 2, 2, 3, 3)
}

/** The last four of eight i16, each twice. */
function twiceHigh(v: v128): v128 {
  return v128.shuffle<i16>(v, v, 4, 4, 5, 5, 6, 6, 7, 7)
}

/** Of each i32 lane the lower half, beside that of b. */
export function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, i32x4.shl(b, 16), 0, 9, 2, 11, 4, 13, 6, 15)
}

/** Of each i32 lane the upper half, beside that of b. */
export function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(i32x4.shr_u(a, 16), b, 0, 9, 2, 11, 4, 13, 6, 15)
}

/** Sums of four rows, as the variant has them: an i32 per row. */
export function total(sums: v128): v128 {
  return shortSums ? i32x4.extadd_pairwise_i16x8_s(sums) : sums
}

/** Sums of rows 0–3, as the variant has them, times the first four of eight i16 scales: an i32 per row. */
export function scaledLow(sums: v128, scales: v128): v128 {
  if (shortSums) return i32x4.dot_i16x8_s(sums, twiceLow(scales))
  return i32x4.mul(sums, i32x4.extend_low_i16x8_s(scales))
}

/** Sums of rows 4–7 times the last four of eight i16 scales. */
export function scaledHigh(sums: v128, scales: v128): v128 {
  if (shortSums) return i32x4.dot_i16x8_s(sums, twiceHigh(scales))
  return i32x4.mul(sums, i32x4.extend_high_i16x8_s(scales))
}

/** Adds sums of rows 0–3 and 4–7, times their i16 scales, times that of x, to eight f32. */
export function addScaled(to: usize, s0: v128, s1: v128, scales: v128, xs: v128): void {
  v128.store(to, madd(f32x4.convert_i32x4_s(scaledLow(s0, scales)), xs, v128.load(to)))
  v128.store(to, madd(f32x4.convert_i32x4_s(scaledHigh(s1, scales)), xs, v128.load(to, 16)), 16)
}

/** Four unsigned bytes of each of four rows times as many 16-bit x: an i32 per row. @param even 0xff in every i16 lane */
export function bytesTimesShorts(w: v128, x: usize, even: v128): v128 {
  const evens = i32x4.dot_i16x8_s(v128.and(w, even), v128.load32_splat(x))
  return i32x4.add(evens, i32x4.dot_i16x8_s(i16x8.shr_u(w, 8), v128.load32_splat(x, 4)))
}
