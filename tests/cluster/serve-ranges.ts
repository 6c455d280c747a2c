/**
 * Serves one file by ranges to pages of other origins: from a disk, or made as it is asked for, so that a 40 GB model
 * needs no 40 GB file.
 *
 * @module
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { SynthModel } from '@hearth/engine/testing'

export type RangeServer = { url: string; close(): Promise<void> }

export type Content = {
  sizeBytes: number
  /** Bytes from `start` on, up to but without `end`. */
  stream(start: number, end: number): Readable
}

const pieceBytes = 1 << 20

export async function serveRanges({ sizeBytes, stream }: Content): Promise<RangeServer> {
  const server = createServer((request, response) => {
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const start = match ? Number(match[1]) : 0
    const end = match?.[2] ? Math.min(Number(match[2]) + 1, sizeBytes) : sizeBytes
    response.setHeader('Access-Control-Allow-Origin', '*')
    response.setHeader('Access-Control-Expose-Headers', 'Content-Range, ETag')
    response.setHeader('ETag', `"${sizeBytes}"`)
    if (start >= end) return void response.writeHead(416, { 'Content-Range': `bytes */${sizeBytes}` }).end()
    if (match) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${sizeBytes}`)
    response.writeHead(match ? 206 : 200, { 'Content-Length': end - start })
    if (request.method === 'HEAD') response.end()
    else stream(start, end).pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export async function fileContent(path: string): Promise<Content> {
  const { size } = await stat(path)
  return {
    sizeBytes: size,
    stream: (start, end) => createReadStream(path, { start, end: end - 1, highWaterMark: pieceBytes }),
  }
}

export function synthContent({ sizeBytes, read }: SynthModel): Content {
  function* pieces(start: number, end: number): Generator<Uint8Array> {
    for (let at = start; at < end; at += pieceBytes) {
      const piece = new Uint8Array(Math.min(pieceBytes, end - at))
      read(at, piece)
      yield piece
    }
  }
  return { sizeBytes, stream: (start, end) => Readable.from(pieces(start, end)) }
}
