// Numbers one at a time: what lanes.ts does with four.

/** One f16, moved to where f32 has its bits: times 2^-112. */
export function f16Raw(p: usize): f32 {
  const h = <u32>(<i32>load<i16>(p))
  return reinterpret<f32>((h << 13) & 0x8fffffff)
}

/** f16 bits of an f32, rounded to nearest even; the steps are those of f16Narrowed. */
export function f16Bits(x: f32): u32 {
  const bits = reinterpret<u32>(x)
  const doubled = bits << 1
  if (doubled > 0xff000000) return 0x7e00 // NaN
  const base = abs(x) * reinterpret<f32>(0x77800000) * reinterpret<f32>(0x08800000) // 2^112, 2^-110
  const bias = max<u32>(doubled & 0xff000000, 0x71000000)
  const rounded = reinterpret<u32>(reinterpret<f32>((bias >> 1) + 0x07800000) + base)
  return ((bits >> 16) & 0x8000) | (((rounded >> 13) & 0x7c00) + (rounded & 0x0fff))
}

/** e^x within 2 ulp, for x from -87 to 88; beyond, the nearest end. Source: Cephes' expf. */
export function exp(x: f32): f32 {
  const clamped = min<f32>(max<f32>(x, -87), 88)
  const n = nearest<f32>(clamped * <f32>1.44269504088896341)
  const r = n * <f32>2.1219444e-4 + (n * <f32>-0.693359375 + clamped)
  let y: f32 = 1.98756915e-4
  y = y * r + <f32>1.3981999507e-3
  y = y * r + <f32>8.3334519073e-3
  y = y * r + <f32>4.1665795894e-2
  y = y * r + <f32>1.6666665459e-1
  y = y * r + <f32>5.0000001201e-1
  return (r * r * y + r + 1) * reinterpret<f32>((<i32>n + 127) << 23)
}
