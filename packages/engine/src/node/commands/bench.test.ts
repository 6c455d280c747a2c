import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { modelShapes, synthModel, type ModelShape } from '../../testing/synth/index.ts'
import { runCommand } from '../run-command.ts'
import type { BenchFigures } from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-bench-'))
afterAll(() => rmSync(folder, { recursive: true }))

const shape: ModelShape = {
  ...modelShapes['hearth-1.1b'],
  nLayers: 2,
  dim: 256,
  nHeads: 4,
  ffnDim: 512,
  vocabSize: 300,
}

function fileOf(name: string, changes: Partial<ModelShape>): string {
  const { sizeBytes, read } = synthModel({ ...shape, nKvHeads: 2, ...changes }, 'Q8_0')
  const bytes = new Uint8Array(sizeBytes)
  read(0, bytes)
  const path = join(folder, `${name}.gguf`)
  writeFileSync(path, bytes)
  return path
}

async function bench(...args: string[]): Promise<{ code: number; out: string; note: string }> {
  let [out, note] = ['', '']
  const code = await runCommand(['bench', ...args], {
    out: (text) => (out += text),
    note: (text) => (note += text),
  })
  return { code, out, note }
}

test('figures agree with one another and with the file', async () => {
  const args = ['--threads', '1', '--prompt-tokens', '5', '--gen', '4', '--rounds', '2', '--json']
  const { code, out, note } = await bench(fileOf('untied', { tiedOutput: false }), ...args)
  expect(code, note).toBe(0)
  const figures = JSON.parse(out) as BenchFigures
  expect(figures.decodeTokensPerSec * figures.msPerToken).toBeCloseTo(1000, 6)
  expect(figures.rooflineShare).toBeCloseTo(figures.rooflineMs / figures.msPerToken, 6)
  const { memory, weightTypes } = figures
  // rows of 256 weights at 8.5 bits; norms in F32: 2 per layer and the output's
  const q8 = (rows: number, cols: number) => (rows * cols * 34) / 32
  const layer = q8(256 + 128 + 128 + 256, 256) + q8(512 + 512, 256) + q8(256, 512)
  expect(weightTypes).toEqual({ F32: 5 * 256 * 4, Q8_0: 2 * layer + 2 * q8(304, 256) })
  expect(figures.weightBytesPerToken).toBe(weightTypes['F32']! + 2 * layer + q8(304, 256))
  expect(memory.weightBytes - weightTypes['F32']! - weightTypes['Q8_0']!).toBeLessThan(1024)
  // a page of 64 positions in f16, K and V, and its table, in each layer
  expect(memory.kvBytes).toBe(2 * (64 * 2 * 2 * 2 * 64 + 256))
})

test('an output that is the embedding is read once per token', async () => {
  const { out } = await bench(fileOf('tied', { tiedOutput: true }), '--gen', '2', '--rounds', '1', '--json')
  const { weightBytesPerToken, weightTypes } = JSON.parse(out) as BenchFigures
  expect(weightBytesPerToken).toBe(weightTypes['F32']! + weightTypes['Q8_0']!)
})

test('more tokens than the model reads are refused', async () => {
  const { code, note } = await bench(
    fileOf('short', { contextLength: 16 }),
    '--prompt-tokens',
    '10',
    '--gen',
    '6',
  )
  expect(code).toBe(1)
  expect(note).toContain('reads 16 tokens at most')
})
