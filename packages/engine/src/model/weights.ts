/**
 * A shard's bytes in a region → the handles by which the forward pass knows its weights.
 *
 * @module
 */
import type { Backend, Matrix, Region, Vector } from '../backend/backend.ts'
import { EngineError } from '../errors.ts'
import type { Shard } from '../gguf/shards.ts'
import { layerTensorName, ropeFactorsName } from './tensors.ts'

/** Weights of one layer. Every W is (out, in). */
export type LayerWeights = {
  attnNorm: Vector // (dim)
  q: Matrix // (nHeads · headDim, dim)
  k: Matrix // (nKvHeads · headDim, dim)
  v: Matrix // (nKvHeads · headDim, dim)
  qBias: Vector | undefined
  kBias: Vector | undefined
  vBias: Vector | undefined
  attnOutput: Matrix // (dim, nHeads · headDim)
  ffnNorm: Vector // (dim)
  gate: Matrix // (ffnDim, dim)
  up: Matrix // (ffnDim, dim)
  down: Matrix // (dim, ffnDim)
  ropeFactors: Vector | undefined // (headDim / 2)
}

/** @param region holds the shard's packed bytes, all of them */
export function layerWeights(backend: Backend, layer: number, shard: Shard, region: Region): LayerWeights {
  const find = finder(backend, shard, region)
  const named = (name: string) => layerTensorName(layer, name)
  return {
    attnNorm: find.vector(named('attn_norm.weight')),
    q: find.matrix(named('attn_q.weight')),
    k: find.matrix(named('attn_k.weight')),
    v: find.matrix(named('attn_v.weight')),
    qBias: find.maybeVector(named('attn_q.bias')),
    kBias: find.maybeVector(named('attn_k.bias')),
    vBias: find.maybeVector(named('attn_v.bias')),
    attnOutput: find.matrix(named('attn_output.weight')),
    ffnNorm: find.vector(named('ffn_norm.weight')),
    gate: find.matrix(named('ffn_gate.weight')),
    up: find.matrix(named('ffn_up.weight')),
    down: find.matrix(named('ffn_down.weight')),
    ropeFactors: find.maybeVector(ropeFactorsName),
  }
}

function finder(backend: Backend, shard: Shard, region: Region) {
  const tensors = new Map(shard.tensors.map((tensor) => [tensor.name, tensor]))
  const maybeVector = (name: string): Vector | undefined => {
    const tensor = tensors.get(name)
    return tensor && backend.vector(region, tensor.offset, tensor.cols)
  }
  return {
    maybeVector,
    vector(name: string): Vector {
      return maybeVector(name) ?? missing(shard, name)
    },
    matrix(name: string): Matrix {
      const tensor = tensors.get(name) ?? missing(shard, name)
      return backend.matrix(region, tensor.offset, tensor.type, tensor.rows, tensor.cols)
    },
  }
}

function missing(shard: Shard, name: string): never {
  throw new EngineError('bug', `Shard ${shard.file} holds no ${name}`)
}
