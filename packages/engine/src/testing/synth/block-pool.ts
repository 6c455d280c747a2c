/**
 * Random weights by the gigabyte: a pool of random blocks of each kind, of which every tensor takes its bytes in turn,
 * from a place of its own.
 *
 * The number of blocks is a prime, so that the rows of a matrix begin at different blocks and are all different up to
 * that many rows. Weights have mean 0 and deviation 1/√cols: W·x is about as large as x, so hidden states stay finite
 * through any number of layers.
 *
 * @module
 */
import { type WeightType, weightTypes } from '../../gguf/quant.ts'
import { floatToHalf } from '../../half.ts'
import { createPrng, xoshiro128 } from '../../model/prng.ts'

const poolBlocks = 65_537

/** `poolBlocks` blocks of a matrix whose rows have `cols` weights. */
export function matrixPool(seed: number, type: WeightType, cols: number): Uint8Array {
  const block = weightTypes[type]
  const bytes = randomBytes(seed, poolBlocks * block.bytes)
  const view = new DataView(bytes.buffer)
  const random = createPrng(seed + 1)
  const scale = 1 / (Math.sqrt(cols) * deviations[type])
  for (let at = 0; at < bytes.length; at += block.bytes) finish[type](view, at, scale, random)
  return bytes
}

/** F32 values evenly spread around `centre`. */
export function vectorPool(seed: number, centre: number, spread: number): Uint8Array {
  const random = createPrng(seed)
  const values = Float32Array.from({ length: poolBlocks }, () => centre + (2 * random() - 1) * spread)
  return new Uint8Array(values.buffer)
}

function randomBytes(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4))
  const next = xoshiro128([seed, 0x9e37_79b9, 0x243f_6a88, 0xb7e1_5162])
  for (let i = 0; i < words.length; i++) words[i] = next()
  return new Uint8Array(words.buffer, 0, length)
}

/** Of a block's weights in units of its scale, quants and sub-scales being as random as `finish` leaves them. */
const deviations: Readonly<Record<WeightType, number>> = {
  F32: 1,
  F16: 1,
  Q4_0: 4.61, // 0 … 15
  Q5_0: 9.23, // 0 … 31
  Q8_0: 73.9, // −128 … 127
  Q4_K: 4.61 * 42.7, // sub-scales 32 … 63 in four sub-blocks, 0 … 63 in the others
  Q5_K: 9.23 * 42.7, // as Q4_K
  Q6_K: 18.5 * 97.3, // sub-scales ±(64 … 127)
}

/** Turns random bytes into a block: its scales, and what quants must not be. */
type Finish = (view: DataView, at: number, scale: number, random: () => number) => void

/** Of either sign, because the quants of symmetric types have a mean of −½. */
const eitherSign = (scale: number, random: () => number) =>
  floatToHalf(scale * (0.75 + random() / 2) * (random() < 0.5 ? -1 : 1))

const evenly = (scale: number, random: () => number) => scale * Math.sqrt(3) * (2 * random() - 1)

const finish: Readonly<Record<WeightType, Finish>> = {
  F32: (view, at, scale, random) => view.setFloat32(at, evenly(scale, random), true),
  F16: (view, at, scale, random) => view.setUint16(at, floatToHalf(evenly(scale, random)), true),
  Q4_0: (view, at, scale, random) => view.setUint16(at, eitherSign(scale, random), true),
  Q5_0: (view, at, scale, random) => view.setUint16(at, eitherSign(scale, random), true),
  Q8_0(view, at, scale, random) {
    view.setUint16(at, eitherSign(scale, random), true)
    // ggml's quantizer never writes −128
    for (let i = 2; i < 34; i++) if (view.getUint8(at + i) === 0x80) view.setUint8(at + i, 0x81)
  },
  Q4_K: (view, at, scale, random) => finishMinima(view, at, scale, random, 7.5),
  Q5_K: (view, at, scale, random) => finishMinima(view, at, scale, random, 15.5),
  Q6_K(view, at, scale, random) {
    for (let i = 192; i < 208; i++) {
      const size = (view.getUint8(at + i) & 63) | 64
      view.setInt8(at + i, view.getUint8(at + i) & 128 ? -size : size)
    }
    view.setUint16(at + 208, eitherSign(scale, random), true)
  },
}

/** Each minimum is its sub-block's scale, times the middle of its quants. */
function finishMinima(view: DataView, at: number, scale: number, random: () => number, middle: number): void {
  const step = scale * (0.75 + random() / 2)
  view.setUint16(at, floatToHalf(step), true)
  view.setUint16(at + 2, floatToHalf(middle * step), true)
  for (let i = 4; i < 8; i++) {
    const shared = view.getUint8(at + i) | 32
    view.setUint8(at + i, shared)
    view.setUint8(at + i + 4, shared)
    view.setUint8(at + i + 8, (view.getUint8(at + i + 8) & 15) * 17)
  }
}
