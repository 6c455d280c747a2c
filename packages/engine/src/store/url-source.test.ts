import { afterEach, expect, test } from 'vitest'
import { noise } from '../testing/noise.ts'
import { createRangeServer, type RangeServer, type RangeServerBehaviour } from '../testing/range-server.ts'
import { createUrlSource, type UrlSourceOptions } from './url-source.ts'

const mebibyte = 1024 * 1024
const content = noise(9 * mebibyte + 5)

const servers: RangeServer[] = []
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())))

async function serve(behaviour: Partial<RangeServerBehaviour> = {}, options: UrlSourceOptions = {}) {
  const server = await createRangeServer(content, behaviour)
  servers.push(server)
  return { server, source: createUrlSource(server.url, { retryDelaysMs: [1, 1, 1], ...options }) }
}

async function read(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  // A piece is valid until the next is asked for.
  for await (const piece of pieces) all.push(piece.slice())
  return Buffer.concat(all)
}

const failure = (code: string, ...words: string[]) =>
  expect.objectContaining({
    name: 'EngineError',
    code,
    message: expect.stringMatching(new RegExp(words.join('.*'), 's')),
  })

test('a description costs one byte', async () => {
  const { server, source } = await serve()
  expect(await source.describe()).toEqual({ sizeBytes: content.length, revision: '"v1"' })
  await source.describe()
  expect(server.ranges()).toEqual(['bytes=0-0'])
})

test.each([
  [{ 'Last-Modified': 'Sun, 22 Nov 2026 10:00:00 GMT' }, 'Sun, 22 Nov 2026 10:00:00 GMT'],
  [{ 'X-Linked-ETag': '"lfs"', 'X-Repo-Commit': 'c0ffee' }, '"lfs"'],
  [{ ETag: 'W/"weak"', 'Last-Modified': 'yesterday' }, '"weak"'],
  [{}, `${content.length} bytes`],
])('of headers %j the revision is %s', async (headers, revision) => {
  const { source } = await serve({ headers: headers as Record<string, string> })
  expect((await source.describe()).revision).toBe(revision)
})

test('a range is exactly the bytes asked for', async () => {
  const { source } = await serve()
  const bytes = await read(source.stream(1000, 5 * mebibyte))
  expect(bytes.equals(content.subarray(1000, 5 * mebibyte))).toBe(true)
  expect(await read(source.stream(7, 7))).toHaveLength(0)
})

test('a server that promises digests is asked for pieces, another one for the rest at once', async () => {
  const digesting = await serve({ digest: 'right' })
  expect((await read(digesting.source.stream(0, content.length))).equals(content)).toBe(true)
  expect(digesting.server.ranges().slice(1)).toEqual([
    'bytes=0-4194303',
    'bytes=4194304-8388607',
    'bytes=8388608-9437188',
  ])
  const plain = await serve()
  await read(plain.source.stream(0, content.length))
  expect(plain.server.ranges().slice(1)).toEqual(['bytes=0-4194303', 'bytes=4194304-9437188'])
})

test('bytes that do not match their digest are fetched again, and never handed on', async () => {
  const { server, source } = await serve({ digest: 'wrong' })
  const pieces = source.stream(0, 100)
  await expect(read(pieces)).rejects.toEqual(failure('model-unreachable', 'damaged'))
  expect(server.ranges().filter((range) => range === 'bytes=0-99')).toHaveLength(4)
  server.behaviour.digest = 'right'
  expect(await read(source.stream(0, 100))).toEqual(Buffer.from(content.subarray(0, 100)))
})

test('a server that ignores ranges is found out before the whole file arrives', async () => {
  const { server, source } = await serve({ ignoreRanges: true })
  await expect(source.describe()).rejects.toEqual(failure('no-ranges', 'whole file'))
  await expect.poll(server.openAnswers).toBe(0)
  expect(server.servedBytes()).toBeLessThan(content.length)
})

test.each([
  [404, 'no such file'],
  [403, 'login'],
  [400, 'refuses'],
])('status %i is final and says why', async (status, words) => {
  const { server, source } = await serve({ status })
  await expect(source.describe()).rejects.toEqual(failure('model-unreachable', `${status}`, words))
  expect(server.ranges()).toHaveLength(1)
})

test('a server in trouble is asked again', async () => {
  const { server, source } = await serve({ status: 503 })
  await expect(source.describe()).rejects.toEqual(failure('model-unreachable', '503'))
  expect(server.ranges()).toHaveLength(4)
  delete server.behaviour.status
  expect((await source.describe()).sizeBytes).toBe(content.length)
})

test('a server that is not there is unreachable', async () => {
  const { server, source } = await serve()
  await server.close()
  await expect(source.describe()).rejects.toEqual(failure('model-unreachable', 'online'))
})

test('a connection that keeps breaking is taken up where it broke', async () => {
  const { server, source } = await serve({ cutAfterBytes: 1_000_000 })
  expect((await read(source.stream(0, content.length))).equals(content)).toBe(true)
  expect(server.ranges().length).toBeGreaterThan(9)
  expect(server.servedBytes()).toBeLessThan(content.length + 2 * mebibyte)
})

test('a connection that breaks before each first byte is given up', async () => {
  const { source } = await serve(
    { cutAfterBytes: 0 },
    { known: { sizeBytes: content.length, revision: '"v1"' } },
  )
  await expect(read(source.stream(50, 100))).rejects.toEqual(failure('model-unreachable', 'byte 50'))
})

test('answers that end early again and again are a truncated file', async () => {
  const { source } = await serve(
    { endAfterBytes: 0 },
    { known: { sizeBytes: content.length, revision: '"v1"' } },
  )
  await expect(read(source.stream(50, 100))).rejects.toEqual(failure('model-truncated', '50 are missing'))
})

test('bytes beyond the end of the file are a truncated file', async () => {
  const { source } = await serve()
  await expect(read(source.stream(0, content.length + 11))).rejects.toEqual(
    failure('model-truncated', '11 are missing'),
  )
})

test.each([
  ['tag', { headers: { ETag: '"v2"' } }],
  ['size', { content: content.subarray(0, 500) }],
])('another %s than described is a changed file', async (_what, change) => {
  const { server, source } = await serve()
  await source.describe()
  Object.assign(server.behaviour, change)
  await expect(read(source.stream(100, 200))).rejects.toEqual(
    failure('model-changed', 'Choose the model again'),
  )
  await expect(read(source.stream(600, 700))).rejects.toEqual(failure('model-changed'))
})

test("the room's version is taken without asking, and any other refused", async () => {
  const { server, source } = await serve({}, { known: { sizeBytes: content.length, revision: '"v0"' } })
  expect(await source.describe()).toEqual({ sizeBytes: content.length, revision: '"v0"' })
  expect(server.ranges()).toHaveLength(0)
  await expect(read(source.stream(0, 10))).rejects.toEqual(failure('model-changed', 'v0', 'v1'))
})

test('a silent server does not hang the download', async () => {
  const { source } = await serve({ stallAfterBytes: 5 }, { stallMs: 50, retryDelaysMs: [1] })
  expect((await source.describe()).sizeBytes).toBe(content.length)
  expect(await read(source.stream(0, 5))).toHaveLength(5)
  expect(await read(source.stream(0, 12))).toEqual(Buffer.from(content.subarray(0, 12)))
  const mute = await serve({ stallAfterBytes: 0 }, { stallMs: 50, retryDelaysMs: [1] })
  await expect(read(mute.source.stream(0, 10))).rejects.toEqual(
    failure('model-unreachable', 'silent for 0.05 s'),
  )
})

test('an abort stops reading, waiting and describing', async () => {
  const reading = await serve()
  const controller = new AbortController()
  const pieces = reading.source.stream(0, content.length, controller.signal)
  await pieces[Symbol.asyncIterator]().next()
  controller.abort()
  await expect(read(pieces)).rejects.toEqual(failure('aborted'))

  const waiting = await serve({ status: 503 }, { retryDelaysMs: [60_000] })
  const impatient = AbortSignal.timeout(50)
  await expect(read(waiting.source.stream(0, 10, impatient))).rejects.toEqual(failure('aborted'))
})
