import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { noise } from '../testing/noise.ts'
import { createFileSource } from './file-source.ts'

const content = noise(2_500_000)
let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-'))
  path = join(folder, 'model.gguf')
  await writeFile(path, content)
})
afterEach(() => rm(folder, { recursive: true }))

async function read(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

test('a file is described by its size and time of change, and read by ranges', async () => {
  const source = createFileSource(path)
  const { sizeBytes, revision } = await source.describe()
  expect(sizeBytes).toBe(content.length)
  expect(revision).toMatch(/^2500000-\d{13}$/)
  expect((await read(source.stream(10, 2_400_000))).equals(content.subarray(10, 2_400_000))).toBe(true)
})

test('a file that grows after it was described has changed', async () => {
  const source = createFileSource(path)
  await source.describe()
  await appendFile(path, 'more')
  await expect(read(source.stream(0, 10))).rejects.toMatchObject({ code: 'model-changed' })
})

test('bytes beyond the end are a truncated file, and it says how many are missing', async () => {
  await expect(read(createFileSource(path).stream(0, content.length + 7))).rejects.toMatchObject({
    code: 'model-truncated',
    message: expect.stringContaining('7 are missing'),
  })
})

test('a missing file, a folder and an abort say so', async () => {
  await expect(createFileSource(join(folder, 'absent')).describe()).rejects.toMatchObject({
    code: 'model-unreachable',
  })
  await expect(createFileSource(folder).describe()).rejects.toMatchObject({ code: 'model-unreachable' })
  await expect(read(createFileSource(path).stream(0, 10, AbortSignal.abort()))).rejects.toMatchObject({
    code: 'aborted',
  })
})
