/**
 * Weights for tests: seeded random numbers, written into GGUF blocks by the simplest rounding that each format allows.
 *
 * @module
 */
import { rowBytes, weightTypes, type WeightType } from '../gguf/quant.ts'
import { floatToHalf, halfToFloat } from '../half.ts'
import { createPrng } from '../model/prng.ts'

/** `count` normally distributed numbers, mean 0 and the given deviation. */
export function randomNumbers(seed: number, count: number, deviation = 1): Float32Array {
  const random = createPrng(seed)
  // Box–Muller; 1 − u keeps the logarithm finite.
  return Float32Array.from(
    { length: count },
    () => deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  )
}

/** W (rows, cols) as GGUF stores it, of random weights of deviation 1/√cols, so that W · x is about as large as x. */
export function randomBlocks(seed: number, type: WeightType, rows: number, cols: number): Uint8Array {
  return quantize(type, randomNumbers(seed, rows * cols, 1 / Math.sqrt(cols)))
}

/** W (rows, cols) of 1, every second row of -1; but for each 32nd weight, whose opposite sign keeps minima and scales apart. */
export function levelBlocks(type: WeightType, rows: number, cols: number): Uint8Array {
  const weight = (i: number) => (Math.floor(i / cols) % 2 ? 1 : -1) * (i % 32 ? 1 : -0.99)
  return quantize(
    type,
    Float32Array.from({ length: rows * cols }, (_, i) => weight(i)),
  )
}

/** f32 → GGUF blocks. @param values a whole number of blocks of `type` */
export function quantize(type: WeightType, values: Float32Array): Uint8Array {
  const block = weightTypes[type]
  const bytes = new Uint8Array(rowBytes(type, values.length))
  for (let b = 0; b * block.weights < values.length; b++) {
    const weights = values.subarray(b * block.weights, (b + 1) * block.weights)
    writers[type](new DataView(bytes.buffer, b * block.bytes, block.bytes), weights)
  }
  return bytes
}

type BlockWriter = (block: DataView, weights: Float32Array) => void

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, Math.round(value)))
const over = (value: number, scale: number) => (scale === 0 ? 0 : value / scale)

/** The weight farthest from zero, with its sign. */
const extreme = (weights: Float32Array) => weights.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0)

/** Writes a scale as f16 and returns what a reader will find. */
function writeHalf(block: DataView, at: number, value: number): number {
  const bits = floatToHalf(value)
  block.setUint16(at, bits, true)
  return halfToFloat(bits)
}

const writeQ8_0: BlockWriter = (block, weights) => {
  const d = writeHalf(block, 0, Math.abs(extreme(weights)) / 127)
  for (let i = 0; i < 32; i++) block.setInt8(2 + i, clamp(over(weights[i]!, d), -127, 127))
}

const writeQ4_0: BlockWriter = (block, weights) => {
  const d = writeHalf(block, 0, extreme(weights) / -8)
  const q = (i: number) => clamp(over(weights[i]!, d) + 8, 0, 15)
  for (let i = 0; i < 16; i++) block.setUint8(2 + i, q(i) | (q(i + 16) << 4))
}

const writeQ5_0: BlockWriter = (block, weights) => {
  const d = writeHalf(block, 0, extreme(weights) / -16)
  const q = (i: number) => clamp(over(weights[i]!, d) + 16, 0, 31)
  let fifths = 0
  for (let i = 0; i < 32; i++) fifths |= (q(i) >> 4) << i
  block.setInt32(2, fifths, true)
  for (let i = 0; i < 16; i++) block.setUint8(6 + i, (q(i) & 15) | ((q(i + 16) & 15) << 4))
}

const writeQ4_K: BlockWriter = (block, weights) => {
  writeMinimaBlock(block, weights, 15, (sub, i, q) => addNibble(block, 16, sub, i, q))
}

const writeQ5_K: BlockWriter = (block, weights) => {
  writeMinimaBlock(block, weights, 31, (sub, i, q) => {
    block.setUint8(16 + i, block.getUint8(16 + i) | ((q >> 4) << sub))
    addNibble(block, 48, sub, i, q & 15)
  })
}

function addNibble(block: DataView, quants: number, sub: number, i: number, nibble: number): void {
  const at = quants + (sub >> 1) * 32 + i
  block.setUint8(at, block.getUint8(at) | (nibble << ((sub & 1) * 4)))
}

/** Scales and minima of eight sub-blocks, as Q4_K and Q5_K have them; `write` gets each of the weights, 0 … `most`. */
function writeMinimaBlock(
  block: DataView,
  weights: Float32Array,
  most: number,
  write: (sub: number, i: number, q: number) => void,
): void {
  const subs = Array.from({ length: 8 }, (_, sub) => weights.subarray(sub * 32, sub * 32 + 32))
  const floors = subs.map((sub) => Math.max(0, -Math.min(...sub)))
  const steps = subs.map((sub, s) => (Math.max(...sub) + floors[s]!) / most)
  const d = writeHalf(block, 0, Math.max(...steps) / 63)
  const dmin = writeHalf(block, 2, Math.max(...floors) / 63)
  for (const [sub, values] of subs.entries()) {
    const scale = clamp(over(steps[sub]!, d), 0, 63)
    const min = clamp(over(floors[sub]!, dmin), 0, 63)
    writeScaleAndMin(block, sub, scale, min)
    for (const [i, value] of values.entries()) {
      write(sub, i, clamp(over(value + dmin * min, d * scale), 0, most))
    }
  }
}

function writeScaleAndMin(block: DataView, sub: number, scale: number, min: number): void {
  const or = (at: number, bits: number) => block.setUint8(4 + at, block.getUint8(4 + at) | bits)
  if (sub < 4) {
    or(sub, scale)
    or(sub + 4, min)
  } else {
    or(sub + 4, (scale & 15) | ((min & 15) << 4))
    or(sub - 4, (scale >> 4) << 6)
    or(sub, (min >> 4) << 6)
  }
}

const writeQ6_K: BlockWriter = (block, weights) => {
  const subs = Array.from({ length: 16 }, (_, sub) => weights.subarray(sub * 16, sub * 16 + 16))
  // Signed, so that the extreme weight becomes −32, and scales of both signs occur.
  const steps = subs.map((sub) => extreme(sub) / -32)
  const d = writeHalf(block, 208, Math.max(...steps.map(Math.abs)) / 127)
  for (const [sub, values] of subs.entries()) {
    const scale = clamp(over(steps[sub]!, d), -127, 127)
    block.setInt8(192 + sub, scale)
    for (const [i, value] of values.entries()) {
      const q = clamp(over(value, d * scale) + 32, 0, 63)
      const index = sub * 16 + i
      const side = index >> 7
      const quarter = (index >> 5) & 3
      const low = side * 64 + (index & 63)
      const high = 128 + side * 32 + (index & 31)
      block.setUint8(low, block.getUint8(low) | ((q & 15) << ((quarter >> 1) * 4)))
      block.setUint8(high, block.getUint8(high) | ((q >> 4) << (quarter * 2)))
    }
  }
}

const writers: Readonly<Record<WeightType, BlockWriter>> = {
  F32: (block, weights) => block.setFloat32(0, weights[0]!, true),
  F16: (block, weights) => block.setUint16(0, floatToHalf(weights[0]!), true),
  Q8_0: writeQ8_0,
  Q4_0: writeQ4_0,
  Q5_0: writeQ5_0,
  Q4_K: writeQ4_K,
  Q5_K: writeQ5_K,
  Q6_K: writeQ6_K,
}
