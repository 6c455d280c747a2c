// out (tokens, rows) = x (tokens, cols) · Wᵀ, for several W that share x.
//
// Rows are cut into items of some groups, taken by whichever thread is free. One token: weights are read as they are
// packed. More: each group is unpacked into a panel and meets all tokens of a batch; a batch is at most 64 tokens, so
// that its activations stay in the second cache while weights pass by.

import { Activations, NEED_BYTES, NEED_SHORTS, activations, quantize } from './activations'
import { dotF16, dotF32, rowF16, rowF32, unpackF16 } from './float'
import { OP_PRODUCTS, announce, join, scratchOf, take, threads } from './jobs'
import { relaxed } from './lanes'
import { Q4_0_BYTES, Q4_K_BYTES, dotQ4_0, dotQ4_K, rowQ4_0, rowQ4_K, unpackQ4_0, unpackQ4_K } from './q4'
import { Q6_K_BYTES, dotQ6_K, rowQ6_K, unpackQ6_K } from './q6'
import { Q8_0_BYTES, dotQ8_0, rowQ8_0, unpackQ8_0 } from './q8'
import { Tile, asIntegers, tile, tileFloats } from './tile'

// ggml's type ids
const F32: i32 = 0
const F16: i32 = 1
const Q4_0: i32 = 2
const Q8_0: i32 = 8
const Q4_K: i32 = 12
const Q6_K: i32 = 14

/** Tokens quantized and multiplied together. */
export const BATCH: i32 = 64
export const MAX_PRODUCTS: i32 = 16

/** Behind the record of Activations (44 bytes). */
const PRODUCTS_JOB: usize = 0x1c0
const PRODUCTS: usize = 0x200
const PRODUCT_BYTES: usize = 32

@unmanaged
class ProductsJob {
  x: usize
  tokens: i32
  cols: i32
  buffer: usize
  count: i32
  items: i32
  needs: i32
  /** First token of the batch. */
  first: i32
}

@unmanaged
class Product {
  /** (tokens, rows) */
  out: usize
  weights: usize
  type: i32
  rows: i32
  /** (rows), or 0 */
  bias: usize
  add: i32
  /** Groups per item. */
  chunk: i32
  /** The first item is that of the whole job. */
  firstItem: i32
}

// A thread's scratch: results (128 groups of 8, or 64 tokens by 8 rows) · the tile's record · scales and minima of a
// panel · the panel, eight rows.
const RESULTS: usize = 0
const MAX_CHUNK: i32 = 128
const TILE: usize = 0x1000
const ZERO: usize = 0x1080
const FACTORS: usize = 0x10a0
const SUMS: usize = 0x1100
const PANEL_SCALES: usize = 0x1400
const PANEL_MINIMA: usize = 0x1c00
const PANEL: usize = 0x2000
const PANEL_COLS: i32 = 1024
const FLOAT_PANEL_COLS: i32 = 256

function productAt(index: i32): Product {
  return changetype<Product>(PRODUCTS + <usize>index * PRODUCT_BYTES)
}

/** Packed bytes of a group of eight rows. */
function groupBytes(type: i32, cols: i32): usize {
  if (type == Q4_0) return <usize>(cols >> 5) * Q4_0_BYTES
  if (type == Q8_0) return <usize>(cols >> 5) * Q8_0_BYTES
  if (type == Q4_K) return <usize>(cols >> 8) * Q4_K_BYTES
  if (type == Q6_K) return <usize>(cols >> 8) * Q6_K_BYTES
  return (<usize>cols) << (type == F16 ? 4 : 5)
}

/** Starts a list of products with x (tokens, cols). `buffer` holds the activations of min(tokens, 64) tokens. */
export function beginProducts(x: usize, tokens: i32, cols: i32, buffer: usize): void {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  job.x = x
  job.tokens = tokens
  job.cols = cols
  job.buffer = buffer
  job.count = 0
  job.items = 0
  job.needs = 0
}

/** Adds out (tokens, rows) = x · Wᵀ + bias, or += with `add`. */
export function addProduct(out: usize, weights: usize, type: i32, rows: i32, bias: usize, add: i32): void {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  const product = productAt(job.count++)
  const groups = (rows + 7) >> 3
  product.out = out
  product.weights = weights
  product.type = type
  product.rows = rows
  product.bias = bias
  product.add = add
  // about 32 KiB of weights per item for one token: some microseconds, so that threads finish together
  const perItem = 32768 / (<i32>groupBytes(type, job.cols) * min(job.tokens, BATCH))
  product.chunk = max(1, min(min(perItem, MAX_CHUNK), groups / (threads() * 4)))
  product.firstItem = job.items
  job.items += (groups + product.chunk - 1) / product.chunk
  if (type != F32 && type != F16) job.needs |= meetsBytes(type) ? NEED_BYTES : NEED_SHORTS
}

/** @returns 1 if a thread has failed */
export function runProducts(): i32 {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  for (let first = 0; first < job.tokens; first += BATCH) {
    const x = job.x + ((<usize>first * <usize>job.cols) << 2)
    if (quantize(x, min(BATCH, job.tokens - first), job.cols, job.needs, job.buffer)) return 1
    job.first = first
    announce(OP_PRODUCTS, job.items)
    productItems(0)
    if (join()) return 1
  }
  return 0
}

export function productItems(thread: i32): void {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  const tokens = activations().tokens
  for (let item = take(); item >= 0; item = take()) {
    let index = job.count - 1
    while (productAt(index).firstItem > item) index--
    const product = productAt(index)
    const group = (item - product.firstItem) * product.chunk
    const groups = min(product.chunk, ((product.rows + 7) >> 3) - group)
    if (tokens == 1) vectorItem(product, group, groups, job.first, scratchOf(thread))
    else tileItem(product, group, groups, job.first, scratchOf(thread))
  }
}

function vectorItem(product: Product, group: i32, groups: i32, token: i32, scratch: usize): void {
  const a = activations()
  const type = product.type
  const weights = product.weights + <usize>group * groupBytes(type, a.cols)
  const out = scratch + RESULTS
  if (type == Q4_0) dotQ4_0(weights, groups, a, out)
  else if (type == Q8_0) dotQ8_0(weights, groups, a, out)
  else if (type == Q4_K) dotQ4_K(weights, groups, a, out)
  else if (type == Q6_K) dotQ6_K(weights, groups, a, out)
  else if (type == F16) dotF16(weights, groups, a, out)
  else dotF32(weights, groups, a, out)
  deliver(product, token, group * 8, groups * 8, out)
}

function tileItem(product: Product, group: i32, groups: i32, first: i32, scratch: usize): void {
  const a = activations()
  const type = product.type
  const size = groupBytes(type, a.cols)
  store<i32>(scratch + ZERO, 0)
  const t = changetype<Tile>(scratch + TILE)
  const panelCols = type == F32 || type == F16 ? FLOAT_PANEL_COLS : PANEL_COLS
  for (let g = group; g < group + groups; g++) {
    const weights = product.weights + <usize>g * size
    memory.fill(scratch + RESULTS, 0, (<usize>a.tokens) << 5)
    for (let col = 0; col < a.cols; col += panelCols) {
      const cols = min(panelCols, a.cols - col)
      unpack(type, weights, col, cols, scratch, t)
      let token = 0
      for (; token + 4 <= a.tokens; token += 4) multiply(type, a, t, token, 4, col, scratch)
      for (; token < a.tokens; token++) multiply(type, a, t, token, 1, col, scratch)
    }
    for (let token = 0; token < a.tokens; token++) {
      deliver(product, first + token, g * 8, 8, scratch + RESULTS + ((<usize>token) << 5))
    }
  }
}

/** Unpacks columns [col, col + cols) of a group into the panel, and says so in the tile's record. */
function unpack(type: i32, group: usize, col: i32, cols: i32, scratch: usize, t: Tile): void {
  const panel = scratch + PANEL
  t.panel = panel
  t.blocks = cols
  if (type == F16) return unpackF16(group, col, cols, panel)
  if (type == F32) {
    t.panel = group + ((<usize>col) << 5)
    return
  }
  const block = col >> 5
  const blocks = cols >> 5
  const scales = scratch + PANEL_SCALES
  t.blocks = blocks
  t.perBlock = type == Q6_K ? 2 : 1
  t.panelScales = scales
  t.factors = scratch + FACTORS
  t.sums = scratch + SUMS
  if (type == Q4_0) unpackQ4_0(group, block, blocks, panel, scales)
  else if (type == Q4_K) unpackQ4_K(group, block, blocks, panel, scales, scratch + PANEL_MINIMA)
  else if (type == Q6_K) unpackQ6_K(group, block, blocks, panel, scales)
  else unpackQ8_0(group, block, blocks, panel, scales)
  asIntegers(scales, blocks * t.perBlock, t.factors, meetsBytes(type))
}

/** Adds the panel times `tokens` tokens, from `token` on, to the results. */
function multiply(
  type: i32,
  a: Activations,
  t: Tile,
  token: i32,
  tokens: i32,
  col: i32,
  scratch: usize,
): void {
  const at = <usize>(token * a.cols + col)
  t.out = scratch + RESULTS + ((<usize>token) << 5)
  if (type == F32 || type == F16) {
    t.x = a.x + (at << 2)
    t.stride = (<usize>a.cols) << 2
    tileFloats(t, tokens)
    return
  }
  const block = at >> 5
  const panel = t.panel
  t.scaleStride = (<usize>(a.cols >> 5)) << 2
  if (type == Q4_K) {
    // minima (blocks, 8) times the sums of x
    t.panel = scratch + PANEL_MINIMA
    t.x = a.sums + (block << 2)
    t.stride = t.scaleStride
    tileFloats(t, tokens)
    t.panel = panel
  }
  startAt(type, a, t, block, scratch)
  if (meetsBytes(type)) {
    t.x = a.bytes + at
    t.stride = <usize>a.cols
    t.scales = a.scales + (block << 2)
    tile<i8>(t, tokens)
  } else {
    t.x = a.shorts + (at << 1)
    t.stride = (<usize>a.cols) << 1
    t.scales = a.shortScales + (block << 2)
    tile<i16>(t, tokens)
  }
}

function meetsBytes(type: i32): bool {
  return relaxed && type != Q8_0
}

function startAt(type: i32, a: Activations, t: Tile, block: usize, scratch: usize): void {
  const startsBelow = type == Q4_0 || type == Q6_K
  t.starts = type == Q4_0 ? a.eights + (block << 2) : type == Q6_K ? a.halves + (block << 3) : scratch + ZERO
  t.startStep = startsBelow ? 4 : 0
  t.startStride = startsBelow ? t.scaleStride * <usize>t.perBlock : 0
}

/** Rows [row, row + count) of one token, cut at the last row of W, with bias and what out holds. */
function deliver(product: Product, token: i32, row: i32, count: i32, from: usize): void {
  const rows = min(count, product.rows - row)
  const out = product.out + ((<usize>token * <usize>product.rows + <usize>row) << 2)
  const bias = product.bias ? product.bias + ((<usize>row) << 2) : 0
  let i: usize = 0
  for (const end = (<usize>(rows & ~3)) << 2; i < end; i += 16) {
    let v = v128.load(from + i)
    if (bias) v = f32x4.add(v, v128.load(bias + i))
    if (product.add) v = f32x4.add(v, v128.load(out + i))
    v128.store(out + i, v)
  }
  for (const end = (<usize>rows) << 2; i < end; i += 4) {
    let v = load<f32>(from + i)
    if (bias) v += load<f32>(bias + i)
    if (product.add) v += load<f32>(out + i)
    store<f32>(out + i, v)
  }
}

/** out (cols) = row `row` of a packed W, as f32: the embedding of a token. */
export function unpackRow(out: usize, weights: usize, type: i32, row: i32, cols: i32): void {
  const group = weights + <usize>(row >> 3) * groupBytes(type, cols),
    lane = <usize>(row & 7)
  if (type == Q4_0) rowQ4_0(group, lane, cols, out)
  else if (type == Q8_0) rowQ8_0(group, lane, cols, out)
  else if (type == Q4_K) rowQ4_K(group, lane, cols, out)
  else if (type == Q6_K) rowQ6_K(group, lane, cols, out)
  else if (type == F16) rowF16(group, lane, cols, out)
  else rowF32(group, lane, cols, out)
}
