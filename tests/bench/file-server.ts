/**
 * Serves one file by ranges to pages of other origins: both engines of a browser fetch the model from it.
 *
 * @module
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export async function serveFile(path: string): Promise<{ url: string; close(): Promise<void> }> {
  const { size } = await stat(path)
  const server = createServer((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*')
    response.setHeader('Access-Control-Expose-Headers', 'Content-Range, ETag')
    response.setHeader('ETag', `"${size}"`)
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const start = range ? Number(range[1]) : 0
    const end = range ? Math.min(Number(range[2]), size - 1) : size - 1
    if (range) response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`)
    response.writeHead(range ? 206 : 200, { 'Content-Length': end - start + 1 })
    if (request.method === 'HEAD') response.end()
    else createReadStream(path, { start, end, highWaterMark: 1 << 20 }).pipe(response)
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
