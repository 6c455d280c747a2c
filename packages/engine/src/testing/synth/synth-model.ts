/**
 * Models of any published shape without their weights: valid GGUF files whose bytes are made where they are read, so that
 * speed and memory can be measured without a download, and 40 GB can be served without a disk.
 *
 * @module
 */
import { writeGgufHeader } from '../gguf-writer.ts'
import { byteVocabulary } from '../byte-vocabulary.ts'
import { recipes, type Recipe } from './recipe.ts'
import type { ModelShape } from './shapes.ts'
import { synthTensors } from './synth-tensors.ts'

export type SynthModel = {
  /** Everything before the first tensor. */
  header: Uint8Array
  sizeBytes: number
  /** Of matrices and vectors together. */
  weights: number
  /** Fills `into` with the file's bytes from `offset` on. @throws RangeError beyond the file's end */
  read(offset: number, into: Uint8Array): void
}

export type SynthOptions = {
  /** In the metadata; shape and recipe by default. */
  name?: string
  /** The same seed gives the same file. */
  seed?: number
}

/** Holds some tens of megabytes, whatever the size of the file. */
export function synthModel(shape: ModelShape, recipe: Recipe, options: SynthOptions = {}): SynthModel {
  const { name = `synthetic ${shape.architecture} ${recipe}`, seed = 1 } = options
  const tensors = synthTensors(shape, recipe, seed)
  const { header, offsets, sizeBytes } = writeGgufHeader(metadata(shape, recipe, name), tensors)

  /** Copies of tensor `i` what lies in [from, to) of the file. */
  function copyTensor(i: number, from: number, to: number, into: Uint8Array, base: number): void {
    const { pool: make, start } = tensors[i]!
    const pool = make()
    for (let at = from; at < to;) {
      const place = (start + at - offsets[i]!) % pool.length
      const length = Math.min(to - at, pool.length - place)
      into.set(pool.subarray(place, place + length), at - base)
      at += length
    }
  }

  return {
    header,
    sizeBytes,
    weights: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    read(offset, into) {
      const end = offset + into.length
      if (offset < 0 || end > sizeBytes) {
        throw new RangeError(`Bytes ${offset} to ${end} are not all in a file of ${sizeBytes}`)
      }
      into.fill(0) // tensors are aligned with zeros
      if (offset < header.length) into.set(header.subarray(offset, Math.min(end, header.length)))
      for (let i = lastAtOrBefore(offsets, offset); i < tensors.length && offsets[i]! < end; i++) {
        const tensorEnd = offsets[i]! + tensors[i]!.byteLength
        copyTensor(i, Math.max(offset, offsets[i]!), Math.min(end, tensorEnd), into, offset)
      }
    },
  }
}

function metadata(shape: ModelShape, recipe: Recipe, name: string) {
  const { architecture, dim, nHeads } = shape
  return {
    'general.architecture': architecture,
    'general.name': name,
    'general.file_type': recipes[recipe],
    'general.quantization_version': 2,
    [`${architecture}.context_length`]: shape.contextLength,
    [`${architecture}.embedding_length`]: dim,
    [`${architecture}.block_count`]: shape.nLayers,
    [`${architecture}.feed_forward_length`]: shape.ffnDim,
    [`${architecture}.attention.head_count`]: nHeads,
    [`${architecture}.attention.head_count_kv`]: shape.nKvHeads,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: shape.rmsEps,
    [`${architecture}.rope.freq_base`]: { f32: shape.ropeBase },
    [`${architecture}.rope.dimension_count`]: dim / nHeads,
    [`${architecture}.vocab_size`]: shape.vocabSize,
    ...byteVocabulary(shape.vocabSize),
  }
}

/** Index of the last of `sorted` that is at most `value`; 0 when none is. */
function lastAtOrBefore(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (sorted[middle]! <= value) low = middle
    else high = middle
  }
  return low
}
