import { describe, expect, test } from 'vitest'
import { halfToFloat } from '../half.ts'
import { createNodeHost } from '../node/wasm-host.ts'
import { xxh32 } from '../store/checksum.ts'
import { randomBlocks, randomNumbers } from '../testing/random-blocks.ts'
import { backendContract } from './backend.contract.ts'
import { createBench } from './contract-perform.ts'
import type { WasmHost } from './wasm-host.ts'
import { arithmetics } from './wasm-kernels.ts'
import { createWasmBackend } from './wasm.ts'

const host = createNodeHost()

for (const arithmetic of arithmetics) {
  for (const threads of [1, 2]) {
    backendContract(`wasm, ${arithmetic}, ${threads === 1 ? 'one thread' : 'two threads'}`, () =>
      createWasmBackend(host, { threads, arithmetic }),
    )
  }
}

describe.each(arithmetics)('a few tokens at once, %s', (arithmetic) => {
  test.each(['Q4_0', 'Q5_0', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K', 'F16', 'F32'] as const)(
    '%s says of each, to the bit, what it says of one alone',
    async (type) => {
      const [rows, cols, outs] = [7, 1280, 37]
      const backend = await createWasmBackend(host, { threads: 1, arithmetic })
      const { matrix, values, zeros } = createBench(backend)
      const [w, x, together, alone] = [
        matrix(type, outs, cols),
        values(rows * cols),
        zeros(rows * outs),
        zeros(outs),
      ]
      backend.matmul([{ out: together, w }], x, rows)
      const one = zeros(cols)
      for (let row = 0; row < rows; row++) {
        one.values().set(x.values().subarray(row * cols, (row + 1) * cols))
        backend.matmul([{ out: alone, w }], one, 1)
        expect(together.values().subarray(row * outs, (row + 1) * outs)).toEqual(alone.values())
      }
      backend.close()
    },
  )
})

test.each(arithmetics)('a scale may be any f16, subnormal ones too, %s', async (arithmetic) => {
  const backend = await createWasmBackend(host, { threads: 1, arithmetic })
  const { rowGroup, groupBytes, packGroup } = backend.packing
  const [type, cols, blockBytes] = ['Q8_0', 32, 34] as const
  // 0, -0, the least ones, … 65,504, -65,504
  const rows = 2 * 0x7c00
  const bits = (row: number) => (row & 1 ? 0x8000 : 0) | (row >> 1)
  const size = groupBytes(type, cols)
  const region = backend.region((rows / rowGroup) * size)
  const group = new DataView(new ArrayBuffer(rowGroup * blockBytes))
  for (let row = 0; row < rows; row++) {
    const lane = row % rowGroup
    group.setUint16(lane * blockBytes, bits(row), true)
    group.setInt8(lane * blockBytes + 2, 1)
    if (lane < rowGroup - 1) continue
    const at = ((row - lane) / rowGroup) * size
    const packed = region.bytes().subarray(at, at + size)
    packGroup(type, cols, rowGroup, new Uint8Array(group.buffer), packed)
  }
  const w = backend.matrix(region, 0, type, rows, cols)
  const [x, out, embedded] = [backend.scratch(cols), backend.scratch(rows), backend.scratch(cols)]
  x.values().set([1])
  backend.matmul([{ out, w }], x, 1)
  const wrong = Array.from(out.values(), (value, row) => ({
    row,
    value,
    scale: halfToFloat(bits(row)),
  })).filter(
    // 1 becomes an integer times its scale, which is rounded
    ({ value, scale }) => !(Math.abs(value - scale) <= 1e-6 * Math.abs(scale)),
  )
  expect(wrong).toEqual([])
  for (const row of [0, 2, 3, 2046, 2047, 2048, 2049, rows - 1]) {
    backend.embed(embedded, w, [row])
    expect(embedded.values()[0]).toBeCloseTo(halfToFloat(bits(row)), 24)
  }
  backend.close()
})

describe('threads', () => {
  test('sleep between jobs and wake for the next', async () => {
    const backend = await createWasmBackend(host, { threads: 3 })
    const x = backend.scratch(64 * 2048)
    const weight = backend.scratch(2048)
    x.values().fill(3)
    weight.values().fill(1)
    for (let i = 0; i < 5; i++) {
      backend.rmsNorm(x, x, weight, 64, 0)
      // longer than any thread spins
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(x.values().every((value) => Math.abs(value - 1) < 1e-6)).toBe(true)
    }
    backend.close()
  })

  test('a page that cannot share memory gets one', async () => {
    const alone: WasmHost = { ...host, sharedMemory: false }
    const backend = await createWasmBackend(alone, { threads: 4 })
    expect(backend.detail).toContain('one thread')
    backend.close()
  })

  test('one that does not start is done without', async () => {
    const poor: WasmHost = { ...host, spawn: () => Promise.reject(new Error('no workers here')) }
    const backend = await createWasmBackend(poor, { threads: 4 })
    expect(backend.detail).toContain('one thread')
    const x = backend.scratch(64)
    x.values().fill(2)
    backend.rmsNorm(x, x, x, 1, 0)
    expect(x.values()[63]).toBeCloseTo(2, 5)
    backend.close()
  })
})

describe('memory', () => {
  test('weights beyond 2 GiB are read where they lie', async () => {
    const backend = await createWasmBackend(host, { threads: 2 })
    const groupBytes = backend.packing.groupBytes('Q8_0', 64)
    const region = backend.region(3 * 2 ** 30)
    const x = backend.scratch(64)
    x.values().set(randomNumbers(1, 64))
    const [low, high] = [0, 3 * 2 ** 30 - 1024].map((offset) => {
      const group = region.bytes().subarray(offset, offset + groupBytes)
      backend.packing.packGroup('Q8_0', 64, 8, randomBlocks(2, 'Q8_0', 8, 64), group)
      const out = backend.scratch(8)
      backend.matmul([{ out, w: backend.matrix(region, offset, 'Q8_0', 8, 64) }], x, 1)
      return out.values().slice()
    })
    expect(low!.some((value) => value !== 0)).toBe(true)
    expect(high).toEqual(low)
    backend.close()
  })

  test('a budget is kept, with the numbers, and what is held stays good', async () => {
    const backend = await createWasmBackend(host, { threads: 1, maxBytes: 4 * 2 ** 20 })
    const region = backend.region(2 * 2 ** 20)
    region.bytes().fill(9)
    expect(() => backend.region(2 * 2 ** 20)).toThrow(
      '2.0 MiB of memory beside the 2.1 MiB in use; the engine may hold 4.0',
    )
    expect(region.bytes().every((byte) => byte === 9)).toBe(true)
    region.free()
    expect(backend.region(2 * 2 ** 20).byteLength).toBe(2 * 2 ** 20)
    backend.close()
  })
})

test('heads wider than its scratch are refused with the width', async () => {
  const backend = await createWasmBackend(host, { threads: 1 })
  expect(() => backend.kvCache(1, 576)).toThrow('heads are 576 wide; the engine runs heads of up to 512')
  backend.close()
})

test('checksums are XXH32, at any length and alignment', async () => {
  const backend = await createWasmBackend(host, { threads: 1 })
  const region = backend.region(4096)
  const bytes = region.bytes()
  bytes.set(new Uint8Array(randomNumbers(1, 1024).buffer))
  expect(backend.checksum(bytes.subarray(0, 0))).toBe(0x02cc5d05)
  for (const [from, to] of [
    [0, 4096],
    [1, 16],
    [3, 19],
    [5, 1008],
    [7, 10],
  ] as const) {
    expect(backend.checksum(bytes.subarray(from, to))).toBe(xxh32(bytes.subarray(from, to)))
  }
  backend.close()
})
