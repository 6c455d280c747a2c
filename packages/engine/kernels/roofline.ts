// What memory gives: the same walk over weights with nothing to compute. The bench divides the kernels' speed by it.

export function readBytes(from: usize, byteLength: usize): i32 {
  let s0 = i32x4.splat(0),
    s1 = s0,
    s2 = s0,
    s3 = s0
  for (const end = from + (byteLength & ~63); from < end; from += 64) {
    s0 = v128.xor(s0, v128.load(from))
    s1 = v128.xor(s1, v128.load(from, 16))
    s2 = v128.xor(s2, v128.load(from, 32))
    s3 = v128.xor(s3, v128.load(from, 48))
  }
  const all = v128.xor(v128.xor(s0, s1), v128.xor(s2, s3))
  return (
    i32x4.extract_lane(all, 0) ^
    i32x4.extract_lane(all, 1) ^
    i32x4.extract_lane(all, 2) ^
    i32x4.extract_lane(all, 3)
  )
}
