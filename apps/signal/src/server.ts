/**
 * Starts and stops the server: in its own process from `index.ts`, inside another one in tests and experiments.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import { join } from 'node:path'
import { createAdaptorServer, type WebSocketServerLike } from '@hono/node-server'
import { plan } from '@hearth/halda'
import { createApp } from './app.ts'
import type { Certificate } from './certificate.ts'
import { houseUrls, isEverywhere, isLoopback, toHttps, type House } from './house.ts'
import { createModelFiles } from './model-files.ts'
import { createOnePort } from './one-port.ts'
import { createRooms } from './rooms.ts'
import { createSockets } from './sockets.ts'

export type ServerOptions = {
  /** 0 takes any free port. */
  port: number
  /** Address to listen at; '0.0.0.0' is all of this machine's. */
  host: string
  /** Folder of the built PWA. */
  webRoot: string
  /** Folders whose GGUF files are offered; where two have a file of one name, the first wins. */
  modelsDirs: readonly string[]
  /** For other devices: https at the same port. Without it there is plain http, for this machine and for proxies. */
  house?: House
  /** Told what goes on, in sentences. */
  log?: (sentence: string) => void
}

export type RunningServer = {
  /** How this machine itself reaches it. On localhost browsers grant what they otherwise keep for HTTPS. */
  url: string
  /** How other devices of the house do. */
  houseUrls: string[]
  port: number
  /** Says goodbye to every device and frees the port. */
  close(): Promise<void>
}

/** @throws Error with a sentence when the page is not built, a folder is missing or the port cannot be had */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, webRoot, modelsDirs, house, log = () => {} } = options
  if (!existsSync(join(webRoot, 'index.html'))) {
    throw new Error(`The page is not built: there is no index.html in ${webRoot}. Run "npm run build" first.`)
  }
  for (const dir of modelsDirs) {
    if (!existsSync(dir))
      throw new Error(`There is no folder ${dir} to take models from. Make it, or name another.`)
  }

  const rooms = createRooms(plan)
  const sockets = createSockets(rooms)
  const app = createApp({
    rooms,
    sockets,
    models: createModelFiles(modelsDirs),
    webRoot,
    wayIn: () => ({
      urls: house ? houseUrls(house, port) : [],
      isOwnCertificate: house?.certificate.isOwn ?? false,
    }),
  })
  const serving = {
    // The same thing; only @types/ws spells its optional fields otherwise.
    websocket: { server: sockets.server as WebSocketServerLike },
    // The process may belong to somebody else, who wants its own Request and Response.
    overrideGlobalObjects: false,
  }
  const plain = createAdaptorServer({
    ...serving,
    fetch: (request, env) => (house && toHttps(request, house)) ?? app.fetch(request, env),
  }) as Server
  const server = house ? createOnePort(plain, secureServer(house.certificate)) : plain
  function secureServer({ key, cert }: Certificate): Server {
    const overTls = { createServer: createSecureServer, serverOptions: { key, cert } }
    return createAdaptorServer({ ...serving, ...overTls, fetch: app.fetch }) as Server
  }

  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  const listening = new Promise<number>((resolve, reject) => {
    server.once('error', (error) => reject(portTrouble(error, options)))
    server.listen(options.port, host, () => resolve((server.address() as AddressInfo).port))
  })
  const port = await listening.catch(async (error: unknown) => {
    await sockets.close()
    throw error
  })
  const url = `http://${isLoopback(host) || isEverywhere(host) ? 'localhost' : host}:${port}`
  log(`Listening at ${url}.`)

  return {
    url,
    houseUrls: house ? houseUrls(house, port) : [],
    port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      await sockets.close()
      for (const socket of open) socket.destroy()
      await closed
      log(`Closed ${url}.`)
    },
  }
}

function portTrouble(error: NodeJS.ErrnoException, { port, host }: ServerOptions): Error {
  const command = `PORT=${port === 8787 ? 8788 : 8787} npm start`
  switch (error.code) {
    case 'EADDRINUSE':
      return new Error(
        `Port ${port} is taken by another program, perhaps another Hearth. Stop it, or take another port: ${command}`,
      )
    case 'EACCES':
      return new Error(`This user may not open port ${port}. Take another: ${command}`)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new Error(
        `This machine has no address ${host}. Leave HOST out to listen at all of its addresses.`,
      )
    default:
      return error
  }
}
