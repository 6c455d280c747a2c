// One switch per question that depends on the weight type.

import { Activations } from './activations'
import { dotF16, dotF32, rowF16, rowF32, unpackF16 } from './float'
import { relaxed, shortSums } from './lanes'
import {
  Q4_0_BYTES,
  Q4_K_BYTES,
  dotQ4_0,
  dotQ4_K,
  fourQ4_0,
  fourQ4_K,
  rowQ4_0,
  rowQ4_K,
  unpackQ4_0,
  unpackQ4_K,
} from './q4'
import { Q5_0_BYTES, Q5_K_BYTES, dotQ5_0, dotQ5_K, rowQ5_0, rowQ5_K, unpackQ5_0, unpackQ5_K } from './q5'
import { Q6_K_BYTES, dotQ6_K, fourQ6_K, rowQ6_K, unpackQ6_K } from './q6'
import { Q8_0_BYTES, dotQ8_0, rowQ8_0, unpackQ8_0 } from './q8'
import * as scalar from './scalar/dots'

// ggml's type ids
export const F32: i32 = 0
export const F16: i32 = 1
export const Q4_0: i32 = 2
export const Q5_0: i32 = 6
export const Q8_0: i32 = 8
export const Q4_K: i32 = 12
export const Q5_K: i32 = 13
export const Q6_K: i32 = 14

/** Multiplied as floats, with x as it is. */
export function areFloats(type: i32): bool {
  return type == F32 || type == F16
}

/** Multiplied by x as bytes; other integers by x as shorts. */
export function meetsBytes(type: i32): bool {
  return relaxed && type != Q8_0
}

/** Multiplied in tiles by two blocks of x at once, from -8 on. */
export function meetsJoined(type: i32): bool {
  return shortSums && (type == Q4_0 || type == Q4_K)
}

/** Of every block an own minimum is subtracted. */
export function hasMinima(type: i32): bool {
  return type == Q4_K || type == Q5_K
}

/** In the tiles weights are 32 larger than they count; with 5 bits 16 of them are added when they are unpacked. */
export function tilesFrom32(type: i32): bool {
  return type == Q5_0 || type == Q5_K || type == Q6_K
}

/** Packed bytes of a group of eight rows. */
export function groupBytes(type: i32, cols: i32): usize {
  if (type == Q4_0) return <usize>(cols >> 5) * Q4_0_BYTES
  if (type == Q8_0) return <usize>(cols >> 5) * Q8_0_BYTES
  if (type == Q5_0) return <usize>(cols >> 5) * Q5_0_BYTES
  if (type == Q4_K) return <usize>(cols >> 8) * Q4_K_BYTES
  if (type == Q5_K) return <usize>(cols >> 8) * Q5_K_BYTES
  if (type == Q6_K) return <usize>(cols >> 8) * Q6_K_BYTES
  return (<usize>cols) << (type == F16 ? 4 : 5)
}

/** out (groups · 8) = W · x, for one token */
export function dotGroups(type: i32, weights: usize, groups: i32, a: Activations, out: usize): void {
  if (!ASC_FEATURE_SIMD) return dotGroupsScalar(type, weights, groups, a, out)
  if (type == Q4_0) dotQ4_0(weights, groups, a, out)
  else if (type == Q8_0) dotQ8_0(weights, groups, a, out)
  else if (type == Q5_0) dotQ5_0(weights, groups, a, out)
  else if (type == Q4_K) dotQ4_K(weights, groups, a, out)
  else if (type == Q5_K) dotQ5_K(weights, groups, a, out)
  else if (type == Q6_K) dotQ6_K(weights, groups, a, out)
  else if (type == F16) dotF16(weights, groups, a, out)
  else dotF32(weights, groups, a, out)
}

/** Whether {@link dotFour} knows the type. */
export function goesInFours(type: i32): bool {
  return relaxed && (type == Q4_0 || type == Q4_K || type == Q6_K)
}

/**
 * out (4, 8) = one group of W · x, for the token of `a` and the three behind it, each to the bit as {@link dotGroups} has it.
 *
 * @param room 256 bytes
 */
export function dotFour(type: i32, group: usize, a: Activations, out: usize, room: usize): void {
  if (!relaxed) return
  if (type == Q4_0) fourQ4_0(group, a, out)
  else if (type == Q4_K) fourQ4_K(group, a, out, room)
  else fourQ6_K(group, a, out, room)
}

function dotGroupsScalar(type: i32, weights: usize, groups: i32, a: Activations, out: usize): void {
  if (type == Q4_0) scalar.dotQ4_0(weights, groups, a, out)
  else if (type == Q8_0) scalar.dotQ8_0(weights, groups, a, out)
  else if (type == Q5_0) scalar.dotQ5_0(weights, groups, a, out)
  else if (type == Q4_K) scalar.dotQ4_K(weights, groups, a, out)
  else if (type == Q5_K) scalar.dotQ5_K(weights, groups, a, out)
  else if (type == Q6_K) scalar.dotQ6_K(weights, groups, a, out)
  else if (type == F16) scalar.dotFloats<u16>(weights, groups, a, out)
  else scalar.dotFloats<f32>(weights, groups, a, out)
}

/** `blocks` blocks of a group, from `block` on, for tiles (tile.ts). */
export function unpackBlocks(
  type: i32,
  group: usize,
  block: i32,
  blocks: i32,
  panel: usize,
  scales: usize,
  minima: usize,
): void {
  if (type == Q4_0) unpackQ4_0(group, block, blocks, panel, scales)
  else if (type == Q8_0) unpackQ8_0(group, block, blocks, panel, scales)
  else if (type == Q5_0) unpackQ5_0(group, block, blocks, panel, scales)
  else if (type == Q4_K) unpackQ4_K(group, block, blocks, panel, scales, minima)
  else if (type == Q5_K) unpackQ5_K(group, block, blocks, panel, scales, minima)
  else unpackQ6_K(group, block, blocks, panel, scales)
}

/** The address of columns [col, col + cols) of a group as f32, unpacked to `panel` unless they are f32 already. */
export function unpackFloats(type: i32, group: usize, col: i32, cols: i32, panel: usize): usize {
  if (type == F32) return group + ((<usize>col) << 5)
  unpackF16(group, col, cols, panel)
  return panel
}

/** out (cols) = row `row` of a packed W, as f32: the embedding of a token. */
export function unpackRow(out: usize, weights: usize, type: i32, row: i32, cols: i32): void {
  const group = weights + <usize>(row >> 3) * groupBytes(type, cols)
  const lane = <usize>(row & 7)
  if (type == Q4_0) rowQ4_0(group, lane, cols, out)
  else if (type == Q8_0) rowQ8_0(group, lane, cols, out)
  else if (type == Q5_0) rowQ5_0(group, lane, cols, out)
  else if (type == Q4_K) rowQ4_K(group, lane, cols, out)
  else if (type == Q5_K) rowQ5_K(group, lane, cols, out)
  else if (type == Q6_K) rowQ6_K(group, lane, cols, out)
  else if (type == F16) rowF16(group, lane, cols, out)
  else rowF32(group, lane, cols, out)
}
