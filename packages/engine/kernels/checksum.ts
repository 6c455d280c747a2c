// XXH32 of a byte range. Source: the xxHash specification, section "XXH32 algorithm description".

const PRIME1: u32 = 0x9e3779b1
const PRIME2: u32 = 0x85ebca77
const PRIME3: u32 = 0xc2b2ae3d
const PRIME4: u32 = 0x27d4eb2f
const PRIME5: u32 = 0x165667b1

export function checksum(offset: usize, byteLength: usize, seed: u32): u32 {
  let p = offset
  const end = offset + byteLength
  let hash: u32
  if (byteLength >= 16) {
    let lanes = i32x4(seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1)
    for (let stripes = byteLength >> 4; stripes > 0; stripes--) {
      const sum = i32x4.add(lanes, i32x4.mul(v128.load(p), i32x4.splat(PRIME2)))
      lanes = i32x4.mul(v128.or(i32x4.shl(sum, 13), i32x4.shr_u(sum, 19)), i32x4.splat(PRIME1))
      p += 16
    }
    hash =
      rotl<u32>(i32x4.extract_lane(lanes, 0), 1) +
      rotl<u32>(i32x4.extract_lane(lanes, 1), 7) +
      rotl<u32>(i32x4.extract_lane(lanes, 2), 12) +
      rotl<u32>(i32x4.extract_lane(lanes, 3), 18)
  } else {
    hash = seed + PRIME5
  }
  hash += <u32>byteLength
  for (let words = (byteLength & 15) >> 2; words > 0; words--) {
    hash = rotl<u32>(hash + load<u32>(p) * PRIME3, 17) * PRIME4
    p += 4
  }
  for (; p < end; p++) hash = rotl<u32>(hash + <u32>load<u8>(p) * PRIME5, 11) * PRIME1
  hash = (hash ^ (hash >> 15)) * PRIME2
  hash = (hash ^ (hash >> 13)) * PRIME3
  return hash ^ (hash >> 16)
}
