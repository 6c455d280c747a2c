/**
 * node --import tsx tests/bench/reads.ts [--files 16] [--megabytes 64] [--json]
 *
 * How fast Chromium reads stored layers: one storage worker, with calls of several sizes, or several that share each file
 * or take files in turn. Cold as a device that is short of memory reads them, with next to no page cache, where this runs
 * as root on Linux; warm from the page cache. Medians of five, taken in turns.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import type { Page } from 'playwright'
import { median } from '../../packages/engine/src/median.ts'
import { inWorker } from '../browser/in-worker.ts'
import { servePages } from '../browser/pages-server.ts'
import { createBrowsers } from '../cluster/browsers.ts'
import { table } from './tables.ts'
import { viteUrl } from './vite-url.ts'

const repeats = 5
/** For page cache, and what fluctuates in a browser. */
const slackBytes = 48e6
const script = viteUrl(new URL('pages/reads.worker.ts', import.meta.url))
/** Each is a worker of its own. */
const workerOf = (i: number) => `${script}?${i}`

type Read = { file: number; offset: number; byteLength: number }

/** What each worker reads. */
type Way = { title: string; callBytes?: number; shares(files: number, fileBytes: number): Read[][] }

const split = (workers: number): Way => ({
  title: workers === 1 ? 'one worker' : `${workers} workers, a part of each file`,
  shares: (files, fileBytes) =>
    Array.from({ length: workers }, (_, i) =>
      Array.from({ length: files }, (_, file) => ({
        file,
        offset: (i * fileBytes) / workers,
        byteLength: fileBytes / workers,
      })),
    ),
})
const inTurns = (workers: number): Way => ({
  title: `${workers} workers, files in turn`,
  shares: (files, fileBytes) =>
    Array.from({ length: workers }, (_, i) =>
      Array.from({ length: files }, (_, file) => ({ file, offset: 0, byteLength: fileBytes })).filter(
        ({ file }) => file % workers === i,
      ),
    ),
})
const calls = (kibibytes: number): Way => ({
  ...split(1),
  title: `one worker, calls of ${kibibytes} KiB`,
  callBytes: kibibytes * 1024,
})
const ways = [calls(8192), calls(1024), split(1), calls(64), split(2), split(4), inTurns(2)]

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '16' },
    megabytes: { type: 'string', default: '64' },
    json: { type: 'boolean', default: false },
  },
})
const files = Number(values.files)
const fileBytes = Number(values.megabytes) * 2 ** 20

async function readMs(page: Page, way: Way): Promise<number> {
  const startMs = performance.now()
  await Promise.all(
    way.shares(files, fileBytes).map((reads, i) => inWorker(page, workerOf(i), 'read', reads, way.callBytes)),
  )
  return performance.now() - startMs
}

const server = await servePages()
const browsers = await createBrowsers({ caps: {}, log: console.error })
try {
  const page = await browsers.open(true)
  const [group] = browsers.groups
  await page.goto(server.url)
  await inWorker(page, workerOf(0), 'write', files, fileBytes)
  for (let i = 0; i < 4; i++) await inWorker(page, workerOf(i), 'open', fileBytes)
  group?.dropCache()
  const ownBytes = group?.usedBytes() ?? 0
  const rows = ways.map(({ title }) => ({ title, coldMs: [] as number[], warmMs: [] as number[] }))
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [i, way] of ways.entries()) {
      group?.limit({ memoryBytes: ownBytes + slackBytes })
      const cappedMs = await readMs(page, way)
      if (group) rows[i]!.coldMs.push(cappedMs)
      group?.limit({ memoryBytes: Infinity })
      await readMs(page, way)
      rows[i]!.warmMs.push(await readMs(page, way))
      group?.dropCache()
    }
  }
  const perSec = (ms: readonly number[]) =>
    ms.length === 0 ? null : (files * fileBytes * 1000) / median(ms) / 1e9
  const figures = rows.map(({ title, coldMs, warmMs }) => ({
    title,
    coldGBs: perSec(coldMs),
    warmGBs: perSec(warmMs),
  }))
  const lines = figures.map(({ title, coldGBs, warmGBs }) => [
    title,
    coldGBs?.toFixed(2) ?? '–',
    warmGBs!.toFixed(2),
  ])
  console.log(values.json ? JSON.stringify(figures) : table(['reads', 'cold, GB/s', 'warm, GB/s'], lines))
} finally {
  await browsers.close()
  await server.close()
}
