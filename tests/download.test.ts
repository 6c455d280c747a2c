import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startServer, type RunningServer } from '@hearth/signal/server'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { modelUrl } from '../packages/engine/src/store/model-url.ts'
import { createUrlSource } from '../packages/engine/src/store/url-source.ts'
import { noise } from '../packages/engine/src/testing/noise.ts'

const content = noise(9_000_000)
let folder: string
let server: RunningServer

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-models-'))
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Hearth</title>')
  await writeFile(join(folder, 'alpha.gguf'), content)
  server = await startServer({ port: 0, host: '127.0.0.1', webRoot: folder, modelsDirs: [folder] })
})
afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

/** A source over the real server, and what it asked and was promised. */
function open(damage: (bytes: Uint8Array) => void = () => {}) {
  const answers: { range: string | null; digest: string | null }[] = []
  const watching: typeof fetch = async (url, init) => {
    const response = await fetch(url, init)
    const range = new Headers(init?.headers).get('range')
    answers.push({ range, digest: response.headers.get('content-digest') })
    const bytes = new Uint8Array(await response.arrayBuffer())
    damage(bytes)
    return new Response(bytes, { status: response.status, headers: response.headers })
  }
  const url = modelUrl('/models/alpha.gguf', server.url)
  return { answers, source: createUrlSource(url, { fetch: watching, retryDelaysMs: [1, 1] }) }
}

async function read(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece.slice())
  return Buffer.concat(all)
}

test("our own server's models come in pieces, each with a digest that matches", async () => {
  const { answers, source } = open()
  expect(await source.describe()).toMatchObject({ sizeBytes: content.length })
  expect((await read(source.stream(100, content.length))).equals(content.subarray(100))).toBe(true)
  expect(answers.map(({ range }) => range)).toEqual([
    'bytes=0-0',
    'bytes=100-4194403',
    'bytes=4194404-8388707',
    'bytes=8388708-8999999',
  ])
  expect(answers.every(({ digest }) => digest?.startsWith('sha-256=:'))).toBe(true)
})

test('a bit that flips on the way is noticed, and the piece fetched again', async () => {
  let flips = 1
  const { answers, source } = open((bytes) => {
    if (bytes.length > 1 && flips-- > 0) bytes[bytes.length >> 1]! ^= 1
  })
  expect((await read(source.stream(0, 1_000_000))).equals(content.subarray(0, 1_000_000))).toBe(true)
  expect(answers.filter(({ range }) => range === 'bytes=0-999999')).toHaveLength(2)
})

test('a model that the server does not have is unreachable, by name', async () => {
  const source = createUrlSource(modelUrl('/models/beta.gguf', server.url))
  await expect(source.describe()).rejects.toMatchObject({
    code: 'model-unreachable',
    message: expect.stringMatching(/beta\.gguf.*404/),
  })
})
