/**
 * Everything that the server answers, as one Hono app: the PWA, the models, the rooms' WebSocket, programs' questions,
 * and how it is doing.
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from 'hono'
import { etag } from 'hono/etag'
import { secureHeaders } from 'hono/secure-headers'
import { upgradeWebSocket } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import packageJson from '../package.json' with { type: 'json' }
import { createApiRoutes } from './api-routes.ts'
import type { ModelFiles } from './model-files.ts'
import { createModelRoutes, createServedBytes } from './model-routes.ts'
import type { Rooms } from './rooms.ts'
import type { Sockets } from './sockets.ts'

export type AppParts = {
  rooms: Rooms
  sockets: Sockets
  models: ModelFiles
  /** Folder of the built PWA. */
  webRoot: string
  wayIn(): WayIn
}

/** How other devices reach this server; told to the page, which opens at localhost first. */
export type WayIn = {
  /** The likeliest first; empty where only this machine reaches it, or those for whom a proxy speaks https. */
  urls: string[]
  /** Whether browsers warn there, since nobody but this machine vouches for it. */
  isOwnCertificate: boolean
}

export function createApp({ rooms, sockets, models, webRoot, wayIn }: AppParts): Hono {
  const served = createServedBytes()
  const app = new Hono()

  app.get(
    '/ws',
    fromThisSite,
    async (c, next) =>
      sockets.hasSpace() ? next() : c.text('This server has no space for more devices.', 503),
    upgradeWebSocket(() => sockets.events()),
    (c) => c.text('This address speaks WebSocket only.', 426, { Upgrade: 'websocket' }),
  )
  app.route('/models', createModelRoutes(models, served))
  app.route('/v1', createApiRoutes(rooms, sockets))

  app.use(pageHeaders)
  app.get('/health', (c) => c.json({ ok: true, version: packageJson.version, ...rooms.count() }))
  app.get('/house', (c) => c.json(wayIn()))
  app.get('/stats', (c) => c.json({ servedBytes: served.all() }))

  app.use(freshness)
  app.use(exceptAssets(etag()))
  app.use(serveStatic({ root: webRoot }))
  app.notFound((c) => c.text('There is nothing at this address. Hearth begins at /.', 404))
  return app
}

/**
 * Cross-origin isolation, without which there are no shared memory and no threads; and nothing runs in the page that
 * this server did not send. Models may come from anywhere, so a page may connect to anywhere.
 *
 * `style-src 'unsafe-inline'`: templates carry style attributes; they cannot run anything.
 */
const pageHeaders = secureHeaders({
  crossOriginOpenerPolicy: 'same-origin',
  crossOriginEmbedderPolicy: 'require-corp',
  crossOriginResourcePolicy: 'same-origin',
  referrerPolicy: 'no-referrer',
  // At home there is no TLS to insist on; where there is, whoever terminates it may insist.
  strictTransportSecurity: false,
  contentSecurityPolicy: {
    defaultSrc: ["'self'"],
    scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:', 'blob:'],
    workerSrc: ["'self'", 'blob:'],
    connectSrc: ['*', 'ws:', 'wss:', 'data:', 'blob:'],
    objectSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
})

const isAsset = (path: string): boolean => path.startsWith('/assets/')

/** Files under /assets carry a hash of their content in their name; all others are asked for again each time. */
const freshness: MiddlewareHandler = async (c, next) => {
  await next()
  const keep = isAsset(c.req.path) && c.res.ok
  c.header('Cache-Control', keep ? 'public, max-age=31536000, immutable' : 'no-cache')
}

const exceptAssets =
  (middleware: MiddlewareHandler): MiddlewareHandler =>
  (c, next) =>
    isAsset(c.req.path) ? next() : middleware(c, next)

/** Browsers let any site open a WebSocket to any host and say in Origin who asks (RFC 6455 §10.2). */
const fromThisSite: MiddlewareHandler = async (c, next) => {
  const origin = c.req.header('origin')
  if (origin === undefined || hostOf(origin) === c.req.header('host')?.toLowerCase()) return next()
  return c.text(`Pages of ${origin} may not enter the rooms of this server.`, 403)
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null
}
