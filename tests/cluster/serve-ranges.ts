/**
 * Serves bytes that are made as they are asked for, by ranges, to pages of other origins: a 40 GB model needs no 40 GB
 * file.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { modelShapes, recipes, synthModel, type Recipe, type SynthModel } from '@hearth/engine/testing'

export type RangeServer = { url: string; close(): Promise<void> }

export async function serveRanges({ sizeBytes, read }: SynthModel): Promise<RangeServer> {
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
    else Readable.from(pieces(read, start, end)).pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/synthetic.gguf`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const pieceBytes = 1 << 20

function* pieces(read: SynthModel['read'], start: number, end: number): Generator<Uint8Array> {
  for (let at = start; at < end; at += pieceBytes) {
    const piece = new Uint8Array(Math.min(pieceBytes, end - at))
    read(at, piece)
    yield piece
  }
}

/**
 * The model that 'synth:llama-3-8b:Q4_K_M' names; null for names that do not begin with 'synth:'.
 *
 * @throws RangeError that lists what there is
 */
export function synthNamed(name: string): SynthModel | null {
  const [kind, shapeName = '', recipe = 'Q4_K_M'] = name.split(':')
  if (kind !== 'synth') return null
  const shape = Object.entries(modelShapes).find(([known]) => known === shapeName)?.[1]
  if (!shape)
    throw new RangeError(
      `There is no shape "${shapeName}"; there are ${Object.keys(modelShapes).join(', ')}.`,
    )
  if (!(recipe in recipes)) {
    throw new RangeError(`There is no recipe "${recipe}"; there are ${Object.keys(recipes).join(', ')}.`)
  }
  return synthModel(shape, recipe as Recipe, { name })
}
