import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startServer, type RunningServer } from './server.ts'
import { connect } from './test-device.ts'
import { choiceOf, id, profileOf } from './test-house.ts'

let scratch: string
const running = new Set<RunningServer>()

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'hearth-signal-'))
  await mkdir(join(scratch, 'web'))
  await mkdir(join(scratch, 'models'))
  await writeFile(join(scratch, 'web/index.html'), '<!doctype html><title>Hearth</title>')
  await writeFile(join(scratch, 'models/toy.gguf'), new Uint8Array(32 * 2 ** 20))
})
afterEach(async () => {
  for (const server of running) await server.close()
  running.clear()
})
afterAll(() => rm(scratch, { recursive: true }))

async function start(port = 0): Promise<RunningServer> {
  const server = await startServer({
    port,
    host: '127.0.0.1',
    webRoot: join(scratch, 'web'),
    modelsDirs: [join(scratch, 'models')],
  })
  running.add(server)
  return server
}

async function stop(server: RunningServer): Promise<void> {
  running.delete(server)
  await server.close()
}

describe('two devices on real sockets', () => {
  it('meet, signal to each other and get the same plan from the real planner', async () => {
    const server = await start()
    const alice = connect(server, { name: 'alice' })
    await alice.untilView(({ devices }) => devices.length === 1)
    const bob = connect(server, { name: 'bob', mayOpen: false })
    await alice.untilView(({ devices }) => devices.length === 2)

    bob.say({ type: 'signal', to: id('alice'), sealed: 'b2ZmZXI=' })
    expect(await alice.until((message) => message.type === 'signal' && message)).toEqual({
      type: 'signal',
      from: id('bob'),
      sealed: 'b2ZmZXI=',
    })

    // Neither can hold it alone: 12 layers of 10 MB and 32 MB of buffers in 100 MB.
    for (const [device, name] of [
      [alice, 'alice'],
      [bob, 'bob'],
    ] as const) {
      device.say({ type: 'profile', profile: profileOf(name, 100e6) })
    }
    await bob.untilView(({ devices }) => devices.every(({ profile }) => profile?.memoryBytes === 100e6))
    bob.say({ type: 'choose', choice: choiceOf('demo') })
    const [forAlice, forBob] = await Promise.all(
      [alice, bob].map((device) => device.untilView(({ numbered }) => numbered !== null)),
    )
    expect(forAlice).toEqual(forBob)
    expect(forAlice?.numbered?.number).toBe(1)
    const layers = forAlice?.numbered?.plan.windows.map((window) => window.layers) ?? []
    expect(layers.reduce((sum, each) => sum + each, 0)).toBe(12)
    expect(new Set(forAlice?.numbered?.plan.windows.map(({ device }) => device)).size).toBe(2)
    expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({ rooms: 1, devices: 2 })
  })

  it('find their room again, with the same plan under the same number, after the server has restarted', async () => {
    const server = await start()
    const before = connect(server, { name: 'alice' })
    await before.untilView(({ devices }) => devices.length === 1)
    for (const name of ['first', 'second']) {
      before.say({ type: 'choose', choice: choiceOf(name) })
      await before.untilView(({ choice, numbered }) => choice?.model.name === name && numbered !== null)
    }
    const { choice, numbered } = await before.untilView((room) => room.numbered?.number === 2)
    if (!choice || !numbered) throw new Error('no plan')

    await stop(server)
    expect(await before.closed).toBe(1001)
    const again = await start(server.port)

    const guest = connect(again, { name: 'guest', mayOpen: false })
    expect(await guest.until((message) => message.type === 'refused' && message.code)).toBe('no-room')
    expect(await guest.closed).toBe(1008)

    const after = connect(again, { name: 'alice', memory: { choice, numbered } })
    const room = await after.untilView(() => true)
    expect(room).toMatchObject({ choice, numbered, noPlan: null })
    const bob = connect(again, { name: 'bob', mayOpen: false })
    expect((await bob.untilView(({ devices }) => devices.length === 2)).numbered).toEqual(numbered)
  })
})

describe('a socket', () => {
  const opening = (server: RunningServer, headers: Record<string, string>) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, { headers })
      socket.on('open', () => resolve('open'))
      socket.on('error', (error) => resolve(error.message))
    })

  it('opens for pages of this server and not for those of another', async () => {
    const server = await start()
    expect(await opening(server, { Origin: server.url })).toBe('open')
    expect(await opening(server, { Origin: 'https://elsewhere.example' })).toContain('403')
  })

  it('is closed by a message of more than a mebibyte, and the room goes on', async () => {
    const server = await start()
    const alice = connect(server, { name: 'alice' })
    const mallory = connect(server, { name: 'mallory' })
    await alice.untilView(({ devices }) => devices.length === 2)
    mallory.socket.send('x'.repeat(1_048_577))
    expect(await mallory.closed).toBe(1009)
    await alice.untilView(({ devices }) => devices[1]?.presence === 'away' || devices[0]?.presence === 'away')
  })

  it('that no longer answers pings is noticed within 11 s', async () => {
    const server = await start()
    const alice = connect(server, { name: 'alice' })
    await alice.untilView(({ devices }) => devices.length === 1)
    const bob = connect(server, { name: 'bob' })
    await alice.untilView(({ devices }) => devices.length === 2)
    bob.socket.pause()
    const pausedAt = performance.now()
    await alice.untilView(({ devices }) => devices.some(({ presence }) => presence === 'away'))
    expect(performance.now() - pausedAt).toBeLessThan(11_000)
    expect(alice.socket.readyState).toBe(WebSocket.OPEN)
    bob.socket.terminate()
  })
})

describe('a download', () => {
  /** How often this process has the model open. */
  async function filesOpen(): Promise<number> {
    const descriptors = await readdir('/proc/self/fd')
    const paths = await Promise.all(
      descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => '')),
    )
    return paths.filter((path) => path.endsWith('/toy.gguf')).length
  }

  it.runIf(process.platform === 'linux')('that is broken off closes its file', async () => {
    const server = await start()
    for (let i = 0; i < 8; i++) {
      await new Promise<void>((resolve) => {
        const asking = request(`${server.url}/models/toy.gguf`, { agent: false }, (response) => {
          response.once('data', () => response.destroy())
          response.once('close', resolve)
        })
        asking.end()
      })
    }
    await expect.poll(filesOpen).toBe(0)
  })

  it('that nobody takes off the wire is not read from disk', async () => {
    const server = await start()
    const asking = request(`${server.url}/models/toy.gguf`, { agent: false }, (response) => response.pause())
    asking.on('error', () => {})
    asking.end()
    const sent = async () => {
      const stats = (await (await fetch(`${server.url}/stats`)).json()) as {
        servedBytes: Record<string, number>
      }
      return stats.servedBytes['toy.gguf'] ?? 0
    }
    await expect.poll(sent).toBeGreaterThan(0)
    let last = -1
    await expect.poll(async () => last === (last = await sent()), { interval: 300 }).toBe(true)
    expect(last).toBeLessThan(16 * 2 ** 20)
    asking.destroy()
  })
})

describe('starting', () => {
  it('says so when the port is taken', async () => {
    const server = await start()
    await expect(start(server.port)).rejects.toThrow(/is taken by another program.*PORT=/)
  })

  it('says so when the page is not built', async () => {
    const options = { port: 0, host: '127.0.0.1', webRoot: join(scratch, 'nowhere'), modelsDirs: [] }
    await expect(startServer(options)).rejects.toThrow(/npm run build/)
  })

  it('says so when a model folder is missing', async () => {
    const options = {
      port: 0,
      host: '127.0.0.1',
      webRoot: join(scratch, 'web'),
      modelsDirs: ['/nowhere/at/all'],
    }
    await expect(startServer(options)).rejects.toThrow('There is no folder /nowhere/at/all')
  })

  it('frees the port when it is closed', async () => {
    const server = await start()
    await stop(server)
    const again = await start(server.port)
    expect(again.port).toBe(server.port)
  })
})
