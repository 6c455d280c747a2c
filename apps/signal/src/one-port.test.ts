import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as requestPlain, type IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { houseCertificate } from './certificate.ts'
import { startServer, type RunningServer } from './server.ts'

let folder: string
let server: RunningServer
/** Whoever was warned and went on. */
let trusting: { ca: string }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-one-port-'))
  await mkdir(join(folder, 'web'))
  await writeFile(join(folder, 'web/index.html'), '<title>Hearth</title>')
  const certificate = await houseCertificate(join(folder, 'certificate.pem'), ['127.0.0.1'], (sentence) =>
    expect.unreachable(sentence),
  )
  trusting = { ca: certificate.cert }
  server = await startServer({
    port: 0,
    host: '127.0.0.1',
    webRoot: join(folder, 'web'),
    modelsDirs: [],
    house: { certificate, hosts: () => ['127.0.0.1'] },
  })
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

async function get(url: string): Promise<IncomingMessage> {
  const asking = url.startsWith('https') ? requestSecure(url, trusting) : requestPlain(url)
  const [response] = (await once(asking.end(), 'response')) as [IncomingMessage]
  return response
}

it('the page comes over http on this machine and over https at the addresses of the house', async () => {
  expect(server.houseUrls).toEqual([`https://127.0.0.1:${server.port}`])
  for (const url of [server.url, ...server.houseUrls]) {
    const response = await get(url)
    expect([response.statusCode, await text(response)]).toEqual([200, '<title>Hearth</title>'])
  }
  const way = await text(await get(`${server.url}/house`))
  expect(JSON.parse(way)).toEqual({ urls: server.houseUrls, isOwnCertificate: true })
})

it('who opens an address of the house over http is sent to https', async () => {
  const { statusCode, headers } = await get(`http://127.0.0.1:${server.port}/?threads=1`)
  expect([statusCode, headers.location]).toEqual([307, `https://127.0.0.1:${server.port}/?threads=1`])
})

it('rooms are open over both', async () => {
  for (const url of [server.url, ...server.houseUrls]) {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { ...trusting, headers: { Origin: url } })
    await once(socket, 'open')
    socket.terminate()
  }
})

it('a connection that says nothing, or breaks off, stops nobody and does not keep the server from closing', async () => {
  const silent = connect(server.port, '127.0.0.1')
  const broken = connect(server.port, '127.0.0.1')
  await Promise.all([once(silent, 'connect'), once(broken, 'connect')])
  broken.resetAndDestroy()
  expect((await get(server.houseUrls[0]!)).statusCode).toBe(200)
  const closed = once(silent, 'close')
  await server.close()
  await closed
})
