/**
 * Serves the test pages, cross-origin isolated like the real thing, with the engine's sources behind them.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

const pages = fileURLToPath(new URL('pages', import.meta.url))
const repository = fileURLToPath(new URL('../..', import.meta.url))

export async function servePages(): Promise<{ url: string; close(): Promise<void> }> {
  const server = await createServer({
    configFile: false,
    root: pages,
    cacheDir: fileURLToPath(new URL('../../node_modules/.vite-test-pages', import.meta.url)),
    logLevel: 'error',
    server: {
      host: '127.0.0.1',
      port: 0,
      // Specs give the server other names, as a house does.
      allowedHosts: true,
      // A page must not reload in the middle of a test because somebody saved a file.
      hmr: false,
      watch: null,
      fs: { allow: [repository] },
      headers: {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      },
    },
    optimizeDeps: { noDiscovery: true },
  })
  await server.listen()
  return { url: server.resolvedUrls!.local[0]!, close: () => server.close() }
}
