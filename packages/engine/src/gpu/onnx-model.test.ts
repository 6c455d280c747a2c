import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import { beforeAll, describe, expect, test } from 'vitest'
import { onnxModel, type OnnxGraph } from './onnx-model.ts'

// The judge is the runtime itself, on the processor: it reads the models with the whole protobuf library.
beforeAll(() => {
  env.wasm.numThreads = 1
})

const open = (graph: OnnxGraph) => InferenceSession.create(onnxModel(graph), { logSeverityLevel: 4 })

const run = async (graph: OnnxGraph, feeds: Record<string, Tensor>) =>
  Object.values((await (await open(graph)).run(feeds))['y']!.data as Float32Array)

describe('a written model', () => {
  test('runs, with a constant and a size that each run chooses', async () => {
    const constant = new Float32Array([10, 20])
    const graph: OnnxGraph = {
      nodes: [{ op: 'Add', inputs: ['x', 'c'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: 'float32', dims: ['rows', 2] }],
      outputs: [{ name: 'y', type: 'float32', dims: ['rows', 2] }],
      constants: [{ name: 'c', type: 'float32', dims: [2], bytes: new Uint8Array(constant.buffer) }],
    }
    expect(await run(graph, { x: new Tensor(new Float32Array([1, 2]), [1, 2]) })).toEqual([11, 22])
    expect(await run(graph, { x: new Tensor(new Float32Array([1, 2, 3, 4]), [2, 2]) })).toEqual([
      11, 22, 13, 24,
    ])
  })

  test('has names, shapes and types', async () => {
    const { inputMetadata, outputMetadata } = await open({
      nodes: [{ op: 'Cast', inputs: ['long'], outputs: ['y'], attributes: { to: { int: 1 } } }],
      inputs: [{ name: 'long', type: 'int64', dims: ['rows', 300] }],
      outputs: [{ name: 'y', type: 'float32', dims: ['rows', 300] }],
    })
    expect(inputMetadata).toMatchObject([{ name: 'long', type: 'int64', shape: ['rows', 300] }])
    expect(outputMetadata).toMatchObject([{ name: 'y', type: 'float32', shape: ['rows', 300] }])
  })

  test('has attributes that are integers, negative ones too, reals, lists and words', async () => {
    const y = { name: 'y', type: 'float32', dims: ['a', 'b'] } as const
    const x = { ...y, name: 'x' }
    const values = { x: new Tensor(new Float32Array([-2, 4, 6, 8]), [2, 2]) }
    const of = (op: string, attributes: Record<string, { int: number } | { float: number }>): OnnxGraph => ({
      nodes: [{ op, inputs: ['x'], outputs: ['y'], attributes }],
      inputs: [x],
      outputs: [y],
    })
    expect(await run(of('LeakyRelu', { alpha: { float: 0.25 } }), values)).toEqual([-0.5, 4, 6, 8])
    expect(await run(of('Flatten', { axis: { int: -1 } }), values)).toEqual([-2, 4, 6, 8])
    const transposed: OnnxGraph = {
      nodes: [{ op: 'Transpose', inputs: ['x'], outputs: ['y'], attributes: { perm: { ints: [1, 0] } } }],
      inputs: [x],
      outputs: [y],
    }
    expect(await run(transposed, values)).toEqual([-2, 6, 4, 8])
    const padded: OnnxGraph = {
      nodes: [
        {
          op: 'Pad',
          inputs: ['x', 'pads'],
          outputs: ['y'],
          attributes: { mode: { text: 'edge' } },
        },
      ],
      inputs: [x],
      outputs: [y],
      constants: [
        {
          name: 'pads',
          type: 'int64',
          dims: [4],
          bytes: new Uint8Array(new BigInt64Array([0n, 0n, 0n, 1n]).buffer),
        },
      ],
    }
    expect(await run(padded, values)).toEqual([-2, 4, 4, 6, 8, 8])
  })

  test('may use the operators of onnxruntime, with inputs left out', async () => {
    const [rows, cols] = [2, 32]
    const nBits = { bits: { int: 4 }, block_size: { int: 32 }, K: { int: cols }, N: { int: rows } }
    const graph: OnnxGraph = {
      nodes: [
        {
          op: 'MatMulNBits',
          domain: 'com.microsoft',
          inputs: ['x', 'w', 'scales', '', '', 'bias'],
          outputs: ['y'],
          attributes: nBits,
        },
      ],
      inputs: [
        { name: 'x', type: 'float32', dims: [1, cols] },
        { name: 'w', type: 'uint8', dims: [rows, 1, 16] },
        { name: 'scales', type: 'float32', dims: [rows] },
        { name: 'bias', type: 'float32', dims: [rows] },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: [1, rows] }],
    }
    const feeds = {
      x: new Tensor(new Float32Array(cols).fill(1), [1, cols]),
      // 4-bit weights are stored as value + 8: here 1 and -1.
      w: new Tensor(new Uint8Array(32).fill(0x99).fill(0x77, 16), [rows, 1, 16]),
      scales: new Tensor(new Float32Array([0.5, 2]), [rows]),
      bias: new Tensor(new Float32Array([100, 200]), [rows]),
    }
    expect(await run(graph, feeds)).toEqual([116, 136])
  })

  test('that asks for operators of the future is refused by the runtime', async () => {
    const graph: OnnxGraph = {
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: 'float32', dims: [1] }],
      outputs: [{ name: 'y', type: 'float32', dims: [1] }],
      opsets: { '': 999 },
    }
    await expect(open(graph)).rejects.toThrow(/opset/)
  })
})
