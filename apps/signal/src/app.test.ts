import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createApp } from './app.ts'
import { createModelFiles } from './model-files.ts'
import { createRooms } from './rooms.ts'
import { createSockets } from './sockets.ts'
import { everybody } from './test-house.ts'

const size = 3_000_000
const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff)
const sha256 = (part: Uint8Array) => `sha-256=:${createHash('sha256').update(part).digest('base64')}:`

let scratch: string
let app: ReturnType<typeof createApp>

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'hearth-signal-'))
  const dirs = ['web/assets', 'models', 'more', 'private', 'models/folder.gguf']
  for (const dir of dirs) await mkdir(join(scratch, dir), { recursive: true })
  const files: [string, string | Uint8Array][] = [
    ['web/index.html', '<!doctype html><title>Hearth</title>'],
    ['web/sw.js', 'self.skipWaiting()'],
    ['web/manifest.webmanifest', '{}'],
    ['web/assets/app-3f9a.js', 'export {}'],
    ['web/assets/kernels-77aa.wasm', 'wasm'],
    ['models/toy.gguf', bytes],
    ['models/empty.gguf', ''],
    ['models/notes.txt', 'mine'],
    ['models/.hidden.gguf', 'mine'],
    ['models/folder.gguf/inner.gguf', 'below'],
    ['more/toy.gguf', 'another'],
    ['more/a b ü.gguf', 'spaced'],
    ['private/secret.gguf', 'secret'],
    ['secret.gguf', 'secret'],
  ]
  for (const [path, content] of files) await writeFile(join(scratch, path), content)
  await symlink(join(scratch, 'private/secret.gguf'), join(scratch, 'models/leak.gguf'))
  await symlink('toy.gguf', join(scratch, 'models/alias.gguf'))
})
afterAll(() => rm(scratch, { recursive: true }))

beforeEach(() => {
  const rooms = createRooms(everybody)
  const models = createModelFiles([join(scratch, 'models'), join(scratch, 'more')])
  const wayIn = () => ({ urls: ['https://192.168.1.20:8787'], isOwnCertificate: true })
  app = createApp({ rooms, sockets: createSockets(rooms), models, webRoot: join(scratch, 'web'), wayIn })
})

const get = (path: string, headers: Record<string, string> = {}) => app.request(path, { headers })
const bodyOf = async (response: Response) => new Uint8Array(await response.arrayBuffer())
const etagOf = async () =>
  (await app.request('/models/toy.gguf', { method: 'HEAD' })).headers.get('etag') ?? ''

describe('the page', () => {
  it('learns how other devices reach the server', async () => {
    expect(await (await get('/house')).json()).toEqual({
      urls: ['https://192.168.1.20:8787'],
      isOwnCertificate: true,
    })
  })

  it('is cross-origin isolated and runs no script but its own', async () => {
    for (const path of ['/', '/index.html', '/sw.js', '/assets/app-3f9a.js']) {
      const { status, headers } = await get(path)
      expect(status).toBe(200)
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
      expect(headers.get('cross-origin-embedder-policy')).toBe('require-corp')
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
      expect(headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval';")
      expect(headers.get('strict-transport-security')).toBeNull()
    }
  })

  it('keeps hashed assets for good and asks again for everything else', async () => {
    const cacheOf = async (path: string) => (await get(path)).headers.get('cache-control')
    expect(await cacheOf('/assets/app-3f9a.js')).toBe('public, max-age=31536000, immutable')
    expect(await cacheOf('/assets/kernels-77aa.wasm')).toContain('immutable')
    for (const path of ['/', '/sw.js', '/manifest.webmanifest', '/assets/gone-1234.js']) {
      expect(await cacheOf(path)).toBe('no-cache')
    }
  })

  it('sends index.html only when it has changed', async () => {
    const first = await get('/')
    const tag = first.headers.get('etag') ?? ''
    expect(tag).not.toBe('')
    expect((await get('/', { 'If-None-Match': tag })).status).toBe(304)
  })

  it('names types that browsers insist on', async () => {
    const typeOf = async (path: string) => (await get(path)).headers.get('content-type')
    expect(await typeOf('/assets/kernels-77aa.wasm')).toBe('application/wasm')
    expect(await typeOf('/sw.js')).toMatch(/^text\/javascript/)
  })

  it('has nothing outside its folder', async () => {
    for (const path of [
      '/../secret.gguf',
      '/%2e%2e/secret.gguf',
      '/..%2fsecret.gguf',
      '/assets/..%5c..%5csecret.gguf',
    ]) {
      const response = await get(path)
      expect(response.status).toBe(404)
      expect(await response.text()).not.toContain('secret')
    }
  })
})

describe('how it is doing', () => {
  it('says so', async () => {
    expect(await (await get('/health')).json()).toEqual({ ok: true, version: '0.1.0', rooms: 0, devices: 0 })
  })

  it('counts the bytes of each file that were sent, and nothing that was not', async () => {
    const statsOf = async () => ((await (await get('/stats')).json()) as { servedBytes: object }).servedBytes
    expect(await statsOf()).toEqual({})
    await app.request('/models/toy.gguf', { method: 'HEAD' })
    await bodyOf(await get('/models/toy.gguf', { Range: 'bytes=0-999' }))
    await bodyOf(await get('/models/toy.gguf', { Range: 'bytes=500-1499' }))
    await (await get('/models/toy.gguf')).body?.cancel()
    expect(await statsOf()).toEqual({ 'toy.gguf': 2000 })
    await bodyOf(await get('/models/toy.gguf'))
    expect(await statsOf()).toEqual({ 'toy.gguf': 2000 + size })
  })
})

describe('the list of models', () => {
  it('names files of the folders, the first of two namesakes, and nothing hidden, linked out or below', async () => {
    const list = (await (await get('/models')).json()) as { url: string }[]
    expect(list.map(({ url }) => url)).toEqual([
      '/models/a%20b%20%C3%BC.gguf',
      '/models/alias.gguf',
      '/models/empty.gguf',
      '/models/toy.gguf',
    ])
    expect(list[3]).toEqual({
      name: 'toy',
      url: '/models/toy.gguf',
      sizeBytes: size,
      revision: await etagOf(),
    })
  })

  it('gives addresses that lead to the files', async () => {
    const list = (await (await get('/models')).json()) as { url: string; sizeBytes: number }[]
    for (const { url, sizeBytes } of list) expect((await bodyOf(await get(url))).length).toBe(sizeBytes)
  })

  it('is readable by pages of other origins', async () => {
    const { headers } = await get('/models', { Origin: 'https://elsewhere.example' })
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(headers.get('strict-transport-security')).toBeNull()
  })
})

describe('a model file', () => {
  it('is sent whole when no range is asked for', async () => {
    const response = await get('/models/toy.gguf')
    expect(response.status).toBe(200)
    expect(response.headers.get('accept-ranges')).toBe('bytes')
    expect(response.headers.get('content-length')).toBe(String(size))
    expect(sha256(await bodyOf(response))).toBe(sha256(bytes))
  })

  const ranges: [string, number, number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=0-999', 0, 1000],
    ['bytes=262143-262144', 262_143, 262_145],
    ['bytes=1000000-', 1_000_000, size],
    ['bytes=-17', size - 17, size],
    ['bytes=-99999999', 0, size],
    ['bytes=2999999-99999999', size - 1, size],
  ]
  it.each(ranges)('%s is bytes %i to %i, with their digest', async (range, start, end) => {
    const response = await get('/models/toy.gguf', { Range: range })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${size}`)
    expect(response.headers.get('content-length')).toBe(String(end - start))
    expect(response.headers.get('content-digest')).toBe(sha256(bytes.subarray(start, end)))
    expect(sha256(await bodyOf(response))).toBe(sha256(bytes.subarray(start, end)))
  })

  it.each(['bytes=3000000-', 'bytes=5000000-6000000', 'bytes=-0'])(
    '%s is beyond the end: 416',
    async (range) => {
      const response = await get('/models/toy.gguf', { Range: range })
      expect(response.status).toBe(416)
      expect(response.headers.get('content-range')).toBe(`bytes */${size}`)
    },
  )

  it.each(['bytes=0-1,5-6', 'bytes=9-3', 'bytes=-', 'lines=1-2', 'bytes=a-b', ''])(
    '"%s" is no single range: the whole file',
    async (range) => {
      const response = await get('/models/toy.gguf', { Range: range })
      expect(response.status).toBe(200)
      await response.body?.cancel()
    },
  )

  it('may be empty', async () => {
    const whole = await get('/models/empty.gguf')
    expect([whole.status, (await bodyOf(whole)).length]).toEqual([200, 0])
    expect((await get('/models/empty.gguf', { Range: 'bytes=0-' })).status).toBe(416)
  })

  it('answers HEAD with the length and no body', async () => {
    const response = await app.request('/models/toy.gguf', {
      method: 'HEAD',
      headers: { Range: 'bytes=0-9' },
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe(String(size))
    expect((await bodyOf(response)).length).toBe(0)
  })

  it('is promised by a strong tag that changes with the file', async () => {
    const before = await etagOf()
    expect(before).toMatch(/^"[0-9a-f]+-[0-9a-f]+"$/)
    expect((await get('/models/toy.gguf', { 'If-None-Match': before })).status).toBe(304)
    await utimes(join(scratch, 'models/toy.gguf'), new Date(), new Date(1_700_000_000_000))
    const after = await etagOf()
    expect(after).not.toBe(before)

    const range = { Range: 'bytes=0-9' }
    expect((await get('/models/toy.gguf', { ...range, 'If-Match': after })).status).toBe(206)
    expect((await get('/models/toy.gguf', { ...range, 'If-Match': `"x", ${after}` })).status).toBe(206)
    expect((await get('/models/toy.gguf', { ...range, 'If-Match': before })).status).toBe(412)
    expect((await get('/models/toy.gguf', { ...range, 'If-Match': `W/${after}` })).status).toBe(412)

    expect((await get('/models/toy.gguf', { ...range, 'If-Range': after })).status).toBe(206)
    const changed = await get('/models/toy.gguf', { ...range, 'If-Range': before })
    expect(changed.status).toBe(200)
    expect((await bodyOf(changed)).length).toBe(size)
  })

  it('has a digest for the new content when it changes', async () => {
    const path = join(scratch, 'models/changing.gguf')
    await writeFile(path, 'before')
    const range = { Range: 'bytes=0-5' }
    expect((await get('/models/changing.gguf', range)).headers.get('content-digest')).toBe(
      sha256(Buffer.from('before')),
    )
    await writeFile(path, 'after!')
    expect((await get('/models/changing.gguf', range)).headers.get('content-digest')).toBe(
      sha256(Buffer.from('after!')),
    )
    await rm(path)
  })

  it('has no digest for a range of more than 8 MiB', async () => {
    const path = join(scratch, 'models/large.gguf')
    await writeFile(path, '')
    await truncate(path, 9 * 2 ** 20)
    const digestOf = async (range: string) => {
      const response = await get('/models/large.gguf', { Range: range })
      expect(response.status).toBe(206)
      await response.body?.cancel()
      return response.headers.get('content-digest')
    }
    expect(await digestOf('bytes=0-8388607')).toBe(sha256(new Uint8Array(8 * 2 ** 20)))
    expect(await digestOf('bytes=0-8388608')).toBeNull()
    await rm(path)
  })

  it('lets pages of other origins ask for ranges and read what the answers say', async () => {
    const preflight = await app.request('/models/toy.gguf', {
      method: 'OPTIONS',
      headers: {
        Origin: 'https://elsewhere.example',
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'range,if-match',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Range')
    const { headers } = await get('/models/toy.gguf', {
      Range: 'bytes=0-9',
      Origin: 'https://elsewhere.example',
    })
    expect(headers.get('access-control-allow-origin')).toBe('*')
    for (const name of ['ETag', 'Content-Range', 'Content-Digest']) {
      expect(headers.get('access-control-expose-headers')).toContain(name)
    }
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it.each([
    'missing.gguf',
    'notes.txt',
    '.hidden.gguf',
    'leak.gguf',
    'folder.gguf',
    'folder.gguf%2finner.gguf',
    '.gguf',
    '..%2fsecret.gguf',
    '..%2fprivate%2fsecret.gguf',
    '%2e%2e%2fsecret.gguf',
    '..%5csecret.gguf',
    'toy.gguf%00.gguf',
    '..%252fsecret.gguf',
  ])('%s is not one', async (name) => {
    const response = await get(`/models/${name}`)
    expect(response.status).toBe(404)
    expect(await response.text()).toContain('GET /models lists')
  })
})

describe('the WebSocket', () => {
  it('is not for pages of other sites', async () => {
    const answer = (origin: string) =>
      get('/ws', { Host: 'home:8787', Origin: origin, Upgrade: 'websocket', Connection: 'Upgrade' })
    expect((await answer('https://elsewhere.example')).status).toBe(403)
    expect((await answer('http://home:9999')).status).toBe(403)
    expect((await answer('null')).status).toBe(403)
  })

  it('says what it is to whoever does not ask for an upgrade', async () => {
    expect((await get('/ws')).status).toBe(426)
  })
})
