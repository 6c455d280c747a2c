import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'
import solid from 'vite-plugin-solid'

const publicDir = fileURLToPath(new URL('../../public', import.meta.url))

/** Without these two headers there is no SharedArrayBuffer, and so no threads. The service worker keeps them. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/** What the signal server answers; never the service worker's business. */
const serverPaths = ['/ws', '/v1', '/models', '/house', '/health', '/stats']
const signalServer = 'http://localhost:8787'

/** onnxruntime-web, script and WebAssembly, as its files are named. */
const gpuRuntime = '**/ort[.-]*'

/** Copies the icons. The models beside them are gigabytes, perhaps, and the server has them already. */
function publicFilesButModels(): Plugin {
  return {
    name: 'public-files-but-models',
    apply: 'build',
    async generateBundle() {
      for (const entry of await readdir(publicDir, { withFileTypes: true }))
        if (entry.isFile())
          this.emitFile({
            type: 'asset',
            fileName: entry.name,
            source: await readFile(`${publicDir}/${entry.name}`),
          })
    },
  }
}

export default defineConfig({
  publicDir,
  plugins: [
    solid(),
    publicFilesButModels(),
    VitePWA({
      // A new version waits until the person asks for it (installation.ts): a reload would end a running answer.
      registerType: 'prompt',
      injectRegister: false,
      manifest: {
        id: '/',
        name: 'Hearth',
        short_name: 'Hearth',
        description: 'A language model for the family, run by the devices around the house.',
        start_url: '/',
        display: 'standalone',
        background_color: '#faf5ee',
        theme_color: '#faf5ee',
        categories: ['productivity', 'utilities'],
        icons: [
          { src: '/icon.svg', sizes: 'any', type: 'image/svg+xml' },
          { src: '/icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: '/icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: '/icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
      // The glob below finds what is in dist; the plugin's own copies would name each icon twice.
      includeManifestIcons: false,
      workbox: {
        globPatterns: ['**/*.{html,js,css,svg,png,wasm,webmanifest}'],
        // 17 or 27 MB that a phone without a GPU never needs: kept when they were fetched for the first time.
        globIgnores: [gpuRuntime],
        runtimeCaching: [
          {
            urlPattern: /\/assets\/ort[.-]/,
            handler: 'CacheFirst',
            options: { cacheName: 'gpu-runtime', expiration: { maxEntries: 2 } },
          },
        ],
        navigateFallback: '/index.html',
        navigateFallbackDenylist: serverPaths.map((path) => new RegExp(`^${path}(/|$)`)),
        // The shell and the kernels are some hundred kilobytes; a file beyond this was not meant for every phone.
        maximumFileSizeToCacheInBytes: 2_000_000,
        cleanupOutdatedCaches: true,
      },
    }),
  ],
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    copyPublicDir: false,
    // WebAssembly is fetched, so that it compiles while it streams; a data: URL would not.
    assetsInlineLimit: 0,
  },
  // onnxruntime-web finds its WebAssembly beside itself. In development, vite looks for what to prepare in the page; the workers' imports would come as a surprise to it.
  optimizeDeps: {
    exclude: ['onnxruntime-web'],
    entries: [
      'index.html',
      '../../packages/engine/src/worker/main.ts',
      '../../packages/engine/src/backend/wasm-thread.ts',
    ],
  },
  server: {
    headers: isolation,
    proxy: Object.fromEntries(
      serverPaths.map((path) => [path, { target: signalServer, ws: path === '/ws', changeOrigin: false }]),
    ),
  },
  preview: { headers: isolation },
})
