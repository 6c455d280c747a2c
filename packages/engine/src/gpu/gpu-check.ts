/**
 * Whether a GPU computes what it should: one product over quantised weights whose answer is known. Drivers that get this
 * wrong, or say that they cannot, are not used at all.
 *
 * @module
 */
import type { Gpu } from './gpu.ts'
import { onnxModel } from './onnx-model.ts'

const [rows, cols, blockSize] = [64, 256, 32]
const blocks = cols / blockSize

/** y = W·x, W in 4 bits with a scale for each block of 32 and eight as its zero. */
const model = () =>
  onnxModel({
    nodes: [
      {
        op: 'MatMulNBits',
        domain: 'com.microsoft',
        inputs: ['x', 'w', 'scales'],
        outputs: ['y'],
        attributes: {
          K: { int: cols },
          N: { int: rows },
          bits: { int: 4 },
          block_size: { int: blockSize },
        },
      },
    ],
    inputs: [
      { name: 'x', type: 'float32', dims: [1, cols] },
      { name: 'w', type: 'uint8', dims: [rows, blocks, blockSize / 2] },
      { name: 'scales', type: 'float32', dims: [rows * blocks] },
    ],
    outputs: [{ name: 'y', type: 'float32', dims: [1, rows] }],
  })

/** Small whole numbers, so that every order of adding gives the same sum. */
const weightAt = (row: number, col: number): number => ((row * 7 + col * 3) % 16) - 8
const inputAt = (col: number): number => (col % 5) - 2
const scaleAt = (row: number, block: number): number => 2 ** (((row + block) % 4) - 2)

/** What W·x is. */
export function expectedAnswer(): Float32Array {
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0
    for (let col = 0; col < cols; col++) {
      sum += weightAt(row, col) * scaleAt(row, Math.floor(col / blockSize)) * inputAt(col)
    }
    return sum
  })
}

/** @throws what the runtime says where it cannot run at all */
export async function computesRight(gpu: Gpu): Promise<boolean> {
  const x = Float32Array.from({ length: cols }, (_, col) => inputAt(col))
  const scales = Float32Array.from({ length: rows * blocks }, (_, i) =>
    scaleAt(Math.floor(i / blocks), i % blocks),
  )
  const packed = Uint8Array.from({ length: (rows * cols) / 2 }, (_, i) => {
    const [row, col] = [Math.floor((2 * i) / cols), (2 * i) % cols]
    return (weightAt(row, col) + 8) | ((weightAt(row, col + 1) + 8) << 4)
  })
  const session = await gpu.session(model(), 'gpu-buffer')
  const buffers: GPUBuffer[] = []
  const bufferOf = async (values: Uint8Array | Float32Array): Promise<GPUBuffer> => {
    const buffer = await gpu.buffer(values.byteLength)
    buffers.push(buffer)
    gpu.write(buffer, new Uint8Array(values.buffer))
    return buffer
  }
  try {
    const y = await bufferOf(new Float32Array(rows).fill(Number.NaN))
    await session.run(
      {
        x: gpu.tensor(await bufferOf(x), 'float32', [1, cols]),
        w: gpu.tensor(await bufferOf(packed), 'uint8', [rows, blocks, blockSize / 2]),
        scales: gpu.tensor(await bufferOf(scales), 'float32', [rows * blocks]),
      },
      { y: gpu.tensor(y, 'float32', [1, rows]) },
    )
    const answer = new Float32Array((await gpu.read(y, rows * 4)).buffer)
    return expectedAnswer().every((value, row) => Math.abs(answer[row]! - value) <= 1e-3)
  } finally {
    await session.release()
    for (const buffer of buffers) gpu.free(buffer)
  }
}
