// out (tokens, rows) = x (tokens, cols) · Wᵀ, for several W that share x.
//
// Rows are cut into items of some groups, taken by whichever thread is free. One token, or a few: weights are read as
// they are packed, once from memory and then from the cache. More: each group is unpacked into panels that meet four
// tokens at a time; a batch is at most 128 tokens: unpacking is shared by more, and their
// activations still pass by from a near cache.
// Without SIMD every token is one.

import {
  Activations,
  JOINT_BYTES,
  NEED_BYTES,
  NEED_JOINED,
  NEED_PAIRS,
  NEED_SHORTS,
  PANEL_COLS,
  activations,
  ofToken,
  panelsOf,
  quantize,
} from './activations'
import { OP_PRODUCTS, announce, join, scratchOf, take, threads } from './jobs'
import { Tile, asIntegers, asPairs, joinBlocks, tile, tileFloats } from './tile'
import {
  Q4_0,
  areFloats,
  dotFour,
  dotGroups,
  goesInFours,
  groupBytes,
  hasMinima,
  meetsBytes,
  meetsJoined,
  tilesFrom32,
  unpackBlocks,
  unpackFloats,
} from './weights'

/** Tokens quantized and multiplied together. */
const BATCH: i32 = 128
/** From so many tokens on unpacking integers pays: it costs more than to multiply. Fewer have the bits that they have alone. */
const TILED: i32 = 12

/** Behind the record of Activations (64 bytes at most). */
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
  /** Of all weights. */
  bytes: usize
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

// A thread's scratch: results (128 groups of 8, or 128 tokens by 8 rows) · records · what tiles need · scales and minima
// of a panel · the panel, eight rows · minima of 64 panels, in pairs, and what they count · results of a second group.
const RESULTS: usize = 0
const MAX_CHUNK: i32 = 128
const TOKEN: usize = 0x1000
const TILE: usize = 0x1040
const ONES: usize = 0x10e0
const FACTORS: usize = 0x1100
const SUMS: usize = 0x1180
const PANEL_SCALES: usize = 0x1400
const PANEL_MINIMA: usize = 0x1c00
const PANEL: usize = 0x2000
const PAIRS: usize = 0x6000
const PAIRS_BYTES: usize = <usize>PANEL_COLS >> 1
const PAIRS_FACTORS: usize = 0xe000
const SECOND_RESULTS: usize = 0xe800
const PAIRS_PANELS: i32 = 64
const FLOAT_PANEL_COLS: i32 = 256

function productAt(index: i32): Product {
  return changetype<Product>(PRODUCTS + <usize>index * PRODUCT_BYTES)
}

/** Starts a list of products with x (tokens, cols). `buffer` holds the activations of min(tokens, 128) tokens. */
export function beginProducts(x: usize, tokens: i32, cols: i32, buffer: usize): void {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  job.x = x
  job.tokens = tokens
  job.cols = cols
  job.buffer = buffer
  job.count = 0
  job.items = 0
  job.needs = 0
  job.bytes = 0
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
  // 512 KiB of weights per item for one token: neighbouring items of 32 KiB kept each other's cache lines busy and cost
  // the second thread all its worth (Q4_0 decode, 2 threads: 20.6 → 35.5 GB/s); the cap below keeps small products shared
  const bytes = <i32>groupBytes(type, job.cols)
  const perItem = 524288 / (bytes * min(job.tokens, BATCH))
  const chunk = min(min(perItem, MAX_CHUNK), groups / (threads() * 4))
  product.chunk = inTiles(job.tokens) ? max(2, chunk & ~1) : max(1, chunk)
  product.firstItem = job.items
  job.bytes += <usize>groups * <usize>bytes
  job.items += (groups + product.chunk - 1) / product.chunk
  if (meetsJoined(type)) job.needs |= NEED_JOINED
  else if (!areFloats(type)) job.needs |= meetsBytes(type) ? NEED_BYTES : NEED_SHORTS
  if (hasMinima(type)) job.needs |= NEED_PAIRS
}

/** @returns 1 if a thread has failed */
export function runProducts(): i32 {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  for (let first = 0; first < job.tokens; first += BATCH) {
    const x = job.x + ((<usize>first * <usize>job.cols) << 2)
    const tokens = min(BATCH, job.tokens - first)
    if (quantize(x, tokens, job.cols, job.needs, inTiles(tokens) ? 4 : 1, job.buffer)) return 1
    job.first = first
    announce(OP_PRODUCTS, job.items, job.bytes * <usize>min(activations().tokens, 4))
    productItems(0)
    if (join()) return 1
  }
  return 0
}

/** Whether so many tokens meet integer weights in tiles. */
function inTiles(tokens: i32): bool {
  return ASC_FEATURE_SIMD && tokens >= TILED
}

export function productItems(thread: i32): void {
  const job = changetype<ProductsJob>(PRODUCTS_JOB)
  const tokens = activations().tokens
  const scratch = scratchOf(thread)
  for (let item = take(); item >= 0; item = take()) {
    let index = job.count - 1
    while (productAt(index).firstItem > item) index--
    const product = productAt(index)
    const group = (item - product.firstItem) * product.chunk
    const groups = min(product.chunk, ((product.rows + 7) >> 3) - group)
    let tiled = 0
    if (ASC_FEATURE_SIMD) {
      if (areFloats(product.type)) tiled = inTiles(tokens) ? tokens & ~3 : 0
      else if (inTiles(tokens)) tiled = tokens
      // three cost less together with a fourth that nobody asked for
      else if (goesInFours(product.type)) tiled = (tokens & 3) == 3 ? tokens : tokens & ~3
      if (tiled) tileGroups(product, group, groups, job.first, tiled, scratch)
    }
    for (let token = tiled; token < tokens; token++)
      dotToken(product, group, groups, job.first, token, scratch)
  }
}

function dotToken(product: Product, group: i32, groups: i32, first: i32, token: i32, scratch: usize): void {
  const a = ofToken(token, scratch + TOKEN)
  const weights = product.weights + <usize>group * groupBytes(product.type, a.cols)
  dotGroups(product.type, weights, groups, a, scratch + RESULTS)
  deliver(product, first + token, group * 8, groups * 8, scratch + RESULTS)
}

/**
 * Results of two groups, 64 bytes of a token, are delivered together: threads that take turns with halves of cache lines wait
 * for each other.
 *
 * @param tokens a multiple of four if weights are floats, whose x has no room behind it
 */
function tileGroups(
  product: Product,
  group: i32,
  groups: i32,
  first: i32,
  tokens: i32,
  scratch: usize,
): void {
  const size = groupBytes(product.type, activations().cols)
  const end = group + groups
  for (let g = group; g < end; g += 2) {
    const weights = product.weights + <usize>g * size
    const isPair = g + 1 < end
    tileGroup(product.type, weights, tokens, scratch, scratch + RESULTS)
    if (isPair) tileGroup(product.type, weights + size, tokens, scratch, scratch + SECOND_RESULTS)
    for (let token = 0; token < tokens; token++) {
      const from = scratch + ((<usize>token) << 5)
      deliver(product, first + token, g * 8, 8, from + RESULTS)
      if (isPair) deliver(product, first + token, g * 8 + 8, 8, from + SECOND_RESULTS)
    }
  }
}

/** results (tokens, 8) = one group of x · Wᵀ */
function tileGroup(type: i32, weights: usize, tokens: i32, scratch: usize, results: usize): void {
  const a = activations()
  if (areFloats(type)) tileFloatGroup(type, weights, a, tokens, scratch, results)
  else if (a.lanes == 4) tileIntegerGroup(type, weights, a, tokens, scratch, results)
  else fourGroup(type, weights, tokens, scratch, results)
}

/** A few tokens: weights are unpacked for four of them, and not kept. */
function fourGroup(type: i32, weights: usize, tokens: i32, scratch: usize, results: usize): void {
  let out = results
  for (let token = 0; token < tokens; token += 4) {
    dotFour(type, weights, ofToken(token, scratch + TOKEN), out, scratch + PANEL)
    out += 128
  }
}

function tileFloatGroup(
  type: i32,
  weights: usize,
  a: Activations,
  tokens: i32,
  scratch: usize,
  results: usize,
): void {
  const t = changetype<Tile>(scratch + TILE)
  memory.fill(results, 0, (<usize>tokens) << 5)
  t.stride = (<usize>a.cols) << 2
  for (let col = 0; col < a.cols; col += FLOAT_PANEL_COLS) {
    t.folds = min(FLOAT_PANEL_COLS, a.cols - col)
    t.panel = unpackFloats(type, weights, col, t.folds, scratch + PANEL)
    t.x = a.x + ((<usize>col) << 2)
    t.out = results
    for (let token = 0; token < tokens; token += 4) {
      tileFloats(t)
      t.x += t.stride * 4
      t.out += 128
    }
  }
}

function tileIntegerGroup(
  type: i32,
  weights: usize,
  a: Activations,
  tokens: i32,
  scratch: usize,
  results: usize,
): void {
  const t = changetype<Tile>(scratch + TILE)
  const scales = scratch + PANEL_SCALES
  const minima = scratch + PANEL_MINIMA
  const areBytes = meetsBytes(type)
  const joined = meetsJoined(type)
  const from32 = tilesFrom32(type)
  const startsBelow = type == Q4_0 || from32
  const perBlock = from32 ? 2 : 1
  const tiles = (tokens + 3) >> 2
  memory.fill(results, 0, (<usize>tokens) << 5)
  t.sums = scratch + SUMS
  for (let i: usize = 0; i < 32; i += 4) store<f32>(scratch + ONES + i, 1)
  for (let col = 0; col < a.cols; col += PANEL_COLS) {
    const count = min(PANEL_COLS, a.cols - col) >> 5
    const blocks = <usize>count
    const block = <usize>((col >> 5) * tiles)
    unpackBlocks(type, weights, col >> 5, count, scratch + PANEL, scales, minima)
    if (joined) joinBlocks(scratch + PANEL, count)
    asIntegers(scales, count * perBlock, scratch + FACTORS, areBytes, joined)
    t.panel = scratch + PANEL
    t.panelScales = scales
    t.factors = scratch + FACTORS
    t.folds = count * perBlock
    t.span = (areBytes ? 256 : 512) / perBlock
    t.perScale = perBlock
    t.starts = from32 ? a.halves + (block << 5) : a.eights + (block << 4)
    t.x = areBytes ? a.bytes + (block << 7) : a.shorts + (block << 8)
    t.scales = (areBytes ? a.scales : a.shortScales) + (block << 4)
    t.out = results
    if (joined) {
      tileJoined(t, a, block, count, tokens)
    } else {
      for (let token = 0; token < tokens; token += 4) {
        if (areBytes) {
          if (startsBelow) tile<i8, u32, void>(t)
          else tile<i8, void, void>(t)
        } else if (startsBelow) tile<i16, u32, void>(t)
        else tile<i16, void, void>(t)
        t.x += blocks << (areBytes ? 7 : 8)
        t.scales += blocks << 4
        if (startsBelow) t.starts += blocks << (from32 ? 5 : 4)
        t.out += 128
      }
    }
    if (hasMinima(type)) keepMinima(t, a, col, count, tokens, scratch, results)
  }
}

/** A panel of joined blocks, behind `block` blocks of all tokens. */
function tileJoined(t: Tile, a: Activations, block: usize, count: i32, tokens: i32): void {
  const joints = <usize>((count + 1) >> 1)
  t.folds = <i32>joints
  t.span = 512
  t.x = a.joined + (block << 7)
  t.scales = a.joints + (block >> 1) * JOINT_BYTES
  for (let token = 0; token < tokens; token += 4) {
    tile<i8, u32, u32>(t)
    t.x += joints << 8
    t.scales += joints * JOINT_BYTES
    t.out += 128
  }
}

/** Minima wait as pairs until all panels, or as many as there is room for, go through the tiles at once. */
function keepMinima(
  t: Tile,
  a: Activations,
  col: i32,
  blocks: i32,
  tokens: i32,
  scratch: usize,
  results: usize,
): void {
  const panel = col / PANEL_COLS
  const kept = panel % PAIRS_PANELS
  const pairs = scratch + PAIRS + <usize>kept * PAIRS_BYTES
  asPairs(scratch + PANEL_MINIMA, blocks, pairs, scratch + PAIRS_FACTORS + ((<usize>kept) << 5))
  if (col + PANEL_COLS >= a.cols || kept == PAIRS_PANELS - 1)
    tileMinima(t, a, panel - kept, kept + 1, tokens, scratch, results)
}

/** Minima of panels [first, first + count) times the sums of x, two blocks to a step. */
function tileMinima(
  t: Tile,
  a: Activations,
  first: i32,
  count: i32,
  tokens: i32,
  scratch: usize,
  results: usize,
): void {
  t.panel = scratch + PAIRS
  t.panelScales = scratch + PAIRS_FACTORS
  t.factors = scratch + ONES
  t.folds = count
  t.span = PAIRS_BYTES
  t.perScale = 1
  t.x = a.pairs + <usize>first * (PAIRS_BYTES >> 1)
  t.scales = a.pairScales + ((<usize>first) << 4)
  t.out = results
  for (let token = 0; token < tokens; token += 4) {
    tile<i16, void, void>(t)
    t.x += (<usize>a.cols >> 6) << 4
    t.scales += (<usize>panelsOf(a.cols)) << 4
    t.out += 128
  }
}

/** Rows [row, row + count) of one token, cut at the last row of W, with bias and what out holds. */
function deliver(product: Product, token: i32, row: i32, count: i32, from: usize): void {
  const rows = min(count, product.rows - row)
  const out = product.out + ((<usize>token * <usize>product.rows + <usize>row) << 2)
  const bias = product.bias ? product.bias + ((<usize>row) << 2) : 0
  let i: usize = 0
  if (ASC_FEATURE_SIMD) {
    for (const end = (<usize>(rows & ~3)) << 2; i < end; i += 16) {
      let v = v128.load(from + i)
      if (bias) v = f32x4.add(v, v128.load(bias + i))
      if (product.add) v = f32x4.add(v, v128.load(out + i))
      v128.store(out + i, v)
    }
  }
  for (const end = (<usize>rows) << 2; i < end; i += 4) {
    let v = load<f32>(from + i)
    if (bias) v += load<f32>(bias + i)
    if (product.add) v += load<f32>(out + i)
    store<f32>(out + i, v)
  }
}
