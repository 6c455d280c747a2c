/**
 * A file server on loopback that answers ranges, and misbehaves as told: for tests of downloads.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** May be changed at any time; the next request sees it. */
export type RangeServerBehaviour = {
  content: Uint8Array
  headers: Record<string, string>
  /** Answers with this status and no content. */
  status?: number
  /** Sends the whole file with status 200. */
  ignoreRanges?: boolean
  /** Promises a Content-Digest; 'wrong' promises another content's. */
  digest?: 'right' | 'wrong'
  /** Cuts the connection after so many bytes of each answer's content. */
  cutAfterBytes?: number
  /** Ends each answer properly after so many bytes, as a proxy with a truncated cache would. */
  endAfterBytes?: number
  /** Falls silent after so many bytes of each answer's content. */
  stallAfterBytes?: number
}

export type RangeServer = {
  url: string
  behaviour: RangeServerBehaviour
  /** Content bytes handed to sockets so far. */
  servedBytes(): number
  /** Answers that are still being sent. */
  openAnswers(): number
  /** The Range header of each request so far. */
  ranges(): readonly string[]
  close(): Promise<void>
}

const writeBytes = 64 * 1024

export async function createRangeServer(
  content: Uint8Array,
  behaviour: Partial<RangeServerBehaviour> = {},
): Promise<RangeServer> {
  const current: RangeServerBehaviour = { content, headers: { ETag: '"v1"' }, ...behaviour }
  const ranges: string[] = []
  let servedBytes = 0
  let openAnswers = 0

  async function send(response: ServerResponse, bytes: Uint8Array): Promise<void> {
    const { cutAfterBytes = Infinity, endAfterBytes = Infinity, stallAfterBytes = Infinity } = current
    response.flushHeaders()
    const limit = Math.min(bytes.length, cutAfterBytes, endAfterBytes, stallAfterBytes)
    function* pieces() {
      for (let at = 0; at < limit; at += writeBytes) {
        const piece = bytes.subarray(at, Math.min(limit, at + writeBytes))
        servedBytes += piece.length
        yield piece
      }
    }
    try {
      await pipeline(Readable.from(pieces()), response, { end: false })
      if (stallAfterBytes < bytes.length) return
      if (cutAfterBytes < bytes.length) response.destroy()
      else response.end()
    } catch {
      // The client hung up, as some tests mean to.
    }
  }

  const server = createServer((request, response) => {
    openAnswers++
    response.once('close', () => openAnswers--)
    const { content, headers, status, ignoreRanges, digest, endAfterBytes } = current
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    if (request.method === 'HEAD') return void response.setHeader('Content-Length', content.length).end()
    ranges.push(request.headers.range ?? '')
    if (status !== undefined) return void response.writeHead(status).end()
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (ignoreRanges || !match) return void send(response, content)
    const start = Number(match[1])
    const end = Math.min(Number(match[2]) + 1, content.length)
    if (start >= end) {
      return void response.writeHead(416, { 'Content-Range': `bytes */${content.length}` }).end()
    }
    const bytes = content.subarray(start, end)
    const promised = createHash('sha256').update(digest === 'wrong' ? 'something else' : bytes)
    if (digest) response.setHeader('Content-Digest', `sha-256=:${promised.digest('base64')}:`)
    if (endAfterBytes === undefined) response.setHeader('Content-Length', bytes.length)
    response.writeHead(206, { 'Content-Range': `bytes ${start}-${end - 1}/${content.length}` })
    void send(response, bytes)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`,
    behaviour: current,
    servedBytes: () => servedBytes,
    openAnswers: () => openAnswers,
    ranges: () => ranges,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
