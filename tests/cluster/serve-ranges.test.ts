import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { modelShapes, synthModel } from '@hearth/engine/testing'
import { describe, expect, test } from 'vitest'
import { fileContent, serveRanges, synthContent, type Content } from './serve-ranges.ts'

const shape = { ...modelShapes['hearth-1.1b'], nLayers: 2, dim: 256, nHeads: 4, nKvHeads: 2, ffnDim: 512 }
const model = synthModel({ ...shape, vocabSize: 300 }, 'Q8_0')
const whole = new Uint8Array(model.sizeBytes)
model.read(0, whole)

async function withFile(use: (content: Content) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hearth-ranges-'))
  try {
    await writeFile(path.join(folder, 'model.gguf'), whole)
    await use(await fileContent(path.join(folder, 'model.gguf')))
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe.each([
  ['a file', withFile],
  ['what is made as it is asked for', (use: (content: Content) => Promise<void>) => use(synthContent(model))],
] as const)('%s', (_, withContent) => {
  test('is served whole, by ranges across pieces, and not beyond its end', () =>
    withContent(async (content) => {
      const server = await serveRanges(content)
      const get = (range?: string) => fetch(server.url, range === undefined ? {} : { headers: { range } })
      try {
        const all = await get()
        expect(all.status).toBe(200)
        expect(Buffer.compare(new Uint8Array(await all.arrayBuffer()), whole)).toBe(0)
        const start = (1 << 20) - 7
        const some = await get(`bytes=${start}-${start + 19}`)
        expect(some.status).toBe(206)
        expect(some.headers.get('content-range')).toBe(`bytes ${start}-${start + 19}/${whole.length}`)
        expect(new Uint8Array(await some.arrayBuffer())).toEqual(whole.slice(start, start + 20))
        const end = await get(`bytes=${whole.length - 5}-${whole.length + 100}`)
        expect(new Uint8Array(await end.arrayBuffer())).toEqual(whole.slice(-5))
        expect((await get(`bytes=${whole.length}-`)).status).toBe(416)
      } finally {
        await server.close()
      }
    }))
})
