/**
 * http and https at one port, so that there is one address to remember.
 *
 * @module
 */
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'

/** A TLS connection begins with a record of this type (handshake, RFC 8446 §5.1), and no HTTP method does. */
const handshakeRecord = 22
/** For the first byte. */
const silentMs = 10_000

/**
 * Hands each connection to whom it speaks to.
 *
 * @param plain an HTTP server that does not listen
 * @param secure an HTTPS server that does not listen
 */
export function createOnePort(plain: Server, secure: Server): Server {
  return createTcpServer((socket: Socket) => {
    const giveUp = () => socket.destroy()
    socket.setTimeout(silentMs, giveUp)
    socket.once('error', giveUp)
    socket.once('data', (first) => {
      socket.setTimeout(0, giveUp)
      socket.removeListener('error', giveUp)
      socket.pause()
      socket.unshift(first)
      const server = first[0] === handshakeRecord ? secure : plain
      server.emit('connection', socket)
      // After the server has put its own listeners there.
      process.nextTick(() => socket.resume())
    })
  })
}
