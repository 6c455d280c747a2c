/**
 * Models over HTTP: a list, and each file by byte ranges, for pages of any origin.
 *
 * @module
 */
import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { secureHeaders } from 'hono/secure-headers'
import { select, type ByteRange } from './byte-range.ts'
import { createDigests, maxDigestBytes, streamOf } from './file-body.ts'
import type { ModelFiles } from './model-files.ts'

export interface ServedBytes {
  add(fileName: string, bytes: number): void
  /** Bytes of each file that left for the network since the server started, headers not counted. */
  all(): Record<string, number>
}

export function createServedBytes(): ServedBytes {
  const served = new Map<string, number>()
  return {
    add: (fileName, bytes) => void served.set(fileName, (served.get(fileName) ?? 0) + bytes),
    all: () => Object.fromEntries(served),
  }
}

/** To be mounted at /models. */
export function createModelRoutes(files: ModelFiles, served: ServedBytes): Hono {
  const digests = createDigests()
  const routes = new Hono()
  routes.use(secureHeaders({ crossOriginResourcePolicy: 'cross-origin', strictTransportSecurity: false }))
  routes.use(
    cors({
      origin: '*',
      allowMethods: ['GET', 'HEAD'],
      allowHeaders: ['Range', 'If-Range', 'If-Match', 'If-None-Match'],
      exposeHeaders: ['ETag', 'Content-Range', 'Content-Length', 'Accept-Ranges', 'Content-Digest'],
      maxAge: 86_400,
    }),
  )
  // Devices keep what they need in their own store; a second copy in the HTTP cache would only fill the disk.
  routes.use(async (c, next) => {
    await next()
    c.header('Cache-Control', 'no-store')
  })

  routes.get('/', async (c) => c.json(await files.list()))

  // Hono answers HEAD from here too.
  routes.get('/:file', async (c) => {
    const fileName = c.req.param('file')
    const file = await files.open(fileName)
    if (!file) {
      return c.text(
        `There is no model file "${fileName}" on this server. GET /models lists what there is.`,
        404,
      )
    }
    const selection = select(c.req.raw.headers, c.req.method, file)
    const whole = { start: 0, end: file.sizeBytes }
    c.header('ETag', file.etag)
    c.header('Last-Modified', file.modified.toUTCString())
    c.header('Accept-Ranges', 'bytes')

    const withoutBody = async (status: 200 | 304 | 412 | 416) => {
      await file.handle.close()
      return c.body(null, status)
    }
    const withBody = (status: 200 | 206, range: ByteRange) => {
      c.header('Content-Type', 'application/octet-stream')
      c.header('Content-Length', String(range.end - range.start))
      return c.body(
        streamOf(file.handle, range, (bytes) => served.add(fileName, bytes)),
        status,
      )
    }

    switch (selection.status) {
      case 206: {
        const { range } = selection
        c.header('Content-Range', `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}`)
        if (range.end - range.start <= maxDigestBytes) {
          c.header('Content-Digest', await digests.of(fileName, file, range))
        }
        return withBody(206, range)
      }
      case 416:
        c.header('Content-Range', `bytes */${file.sizeBytes}`)
        return withoutBody(416)
      case 200:
        if (c.req.method !== 'HEAD' && file.sizeBytes > 0) return withBody(200, whole)
        c.header('Content-Length', String(file.sizeBytes))
        return withoutBody(200)
      default:
        return withoutBody(selection.status)
    }
  })
  return routes
}
