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
    const stripes = byteLength & ~15
    hash = ASC_FEATURE_SIMD ? hashLanes(p, stripes, seed) : hashWords(p, stripes, seed)
    p += stripes
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

/** Stripes of 16 bytes, folded. */
function hashLanes(from: usize, byteLength: usize, seed: u32): u32 {
  let lanes = i32x4(seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1)
  for (let p = from, end = from + byteLength; p < end; p += 16) {
    const sum = i32x4.add(lanes, i32x4.mul(v128.load(p), i32x4.splat(PRIME2)))
    lanes = i32x4.mul(v128.or(i32x4.shl(sum, 13), i32x4.shr_u(sum, 19)), i32x4.splat(PRIME1))
  }
  return (
    rotl<u32>(i32x4.extract_lane(lanes, 0), 1) +
    rotl<u32>(i32x4.extract_lane(lanes, 1), 7) +
    rotl<u32>(i32x4.extract_lane(lanes, 2), 12) +
    rotl<u32>(i32x4.extract_lane(lanes, 3), 18)
  )
}

/** The same without SIMD. */
function hashWords(from: usize, byteLength: usize, seed: u32): u32 {
  let a = seed + PRIME1 + PRIME2
  let b = seed + PRIME2
  let c = seed
  let d = seed - PRIME1
  for (let p = from, end = from + byteLength; p < end; p += 16) {
    a = rotl<u32>(a + load<u32>(p) * PRIME2, 13) * PRIME1
    b = rotl<u32>(b + load<u32>(p, 4) * PRIME2, 13) * PRIME1
    c = rotl<u32>(c + load<u32>(p, 8) * PRIME2, 13) * PRIME1
    d = rotl<u32>(d + load<u32>(p, 12) * PRIME2, 13) * PRIME1
  }
  return rotl<u32>(a, 1) + rotl<u32>(b, 7) + rotl<u32>(c, 12) + rotl<u32>(d, 18)
}
