// Two 32-bit integers in one of 64 bits: a multiplication by x multiplies both. The lower one may be negative; it has
// then borrowed one from the upper one, which is given back when they are taken apart.

/** Both `value`. */
export function both(value: i32): i64 {
  return ((<i64>value) << 32) + <i64>value
}

export function lower(pair: i64): i32 {
  return <i32>pair
}

export function upper(pair: i64): i32 {
  return <i32>((pair + 0x80000000) >> 32)
}

/** The lowest byte of each half. */
const BYTES: i64 = 0x000000ff_000000ff

/** Four weights of each of two rows, unsigned bytes, times four 16-bit x. */
export function fourOfTwo(weights: i64, x: usize): i64 {
  return (
    (weights & BYTES) * <i64>load<i16>(x) +
    ((weights >>> 8) & BYTES) * <i64>load<i16>(x, 2) +
    ((weights >>> 16) & BYTES) * <i64>load<i16>(x, 4) +
    ((weights >>> 24) & BYTES) * <i64>load<i16>(x, 6)
  )
}
