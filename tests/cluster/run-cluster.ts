/**
 * A whole cluster on one machine: the real server and N headless Chromium browsers with separate storage, joined by
 * the link as people join them.
 *
 * @module
 */
import { constants } from 'node:os'
import path from 'node:path'
import { startServer } from '@hearth/signal/server'
import type { Page } from 'playwright'
import { gpuArgs } from '../chromium.ts'
import { createBrowsers, type BrowserOptions } from './browsers.ts'
import { pageParameters, type ClusterOptions } from './cluster-options.ts'
import type { ControlGroup } from './control-groups.ts'
import { createDrivenRoom, meetEverybody, type DrivenRoom } from './driven-room.ts'
import { measurementsUnder } from './known-measurements.ts'
import { isModelFile, synthNamed } from './model-names.ts'
import { serveRanges, synthContent } from './serve-ranges.ts'

const root = path.resolve(import.meta.dirname, '../..')
const defaultNames = ['alice', 'bob', 'charlie', 'dora', 'emil', 'frida', 'georg', 'hanna']

export interface RunningCluster extends DrivenRoom {
  readonly url: string
  readonly joinLink: string
  readonly pages: Page[]
  /** Of each device that runs under real limits; none where the machine has none or no caps were asked for. */
  readonly groups: readonly ControlGroup[]
  /** Bytes of each model that the server has sent. */
  servedBytes(): Promise<Record<string, number>>
  /** One more browser with storage of its own, opened and led to the room; not one of `pages`. */
  join(name: string, browser?: BrowserOptions): Promise<Page>
  /** Leads a device to a room of its own before its browser ends: for one that is only gone, a room waits a while. */
  dismiss(page: Page): Promise<void>
  stopServer(): Promise<void>
  /** Opens the server again at the same address, knowing nothing. */
  startServer(): Promise<void>
  restartServer(): Promise<void>
  close(): Promise<void>
}

export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { devices, names = defaultNames, caps, ownCores = false } = options
  const { endsOnSignals = false, log = () => {} } = options
  const isFile = isModelFile(options.model)
  const serverOptions = {
    host: '127.0.0.1',
    webRoot: path.join(root, 'apps/web/dist'),
    modelsDirs: [
      // First, because the file that was named must win over ours of the same name.
      ...(isFile ? [path.dirname(path.resolve(options.model))] : []),
      path.join(root, 'public/models'),
    ],
  }
  const synth = synthNamed(options.model)
  const synthServer = synth && (await serveRanges(synthContent(synth)))
  let server = await startServer({ ...serverOptions, port: 0 })
  const { url, port } = server
  const stopServer = () => server.close()
  const startServerAgain = async () => {
    server = await startServer({ ...serverOptions, port })
  }
  const browsers = await createBrowsers({ caps, ownCores, endsOnSignals, log })
  const known = options.sharesMeasurements ? measurementsUnder(options) : null
  const closeAll = async () => {
    await browsers.close()
    await Promise.all([server.close(), synthServer?.close()])
  }
  let closing: Promise<void> | null = null
  const close = () => (closing ??= closeAll())
  if (endsOnSignals) {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(name, () => void close().finally(() => process.exit(128 + constants.signals[name])))
  }

  let joinLink = ''
  let joined = 0
  const join = async (name: string, browser?: BrowserOptions) => {
    const device = joined++
    const page = await browsers.open(device < devices, {
      ...browser,
      args: [...(options.gpu ? gpuArgs : []), ...(browser?.args ?? [])],
    })
    if (!browser?.measures) await known?.tell(page, url)
    page.on('pageerror', (error) => log(`${name}: ${error.message}`))
    const address = new URL(joinLink || url)
    for (const [key, value] of Object.entries(pageParameters(options, device, name)))
      address.searchParams.set(key, value)
    await page.goto(address.href)
    return page
  }

  try {
    const pages: Page[] = []
    for (let i = 0; i < devices; i++) {
      const name = names[i] ?? `device ${i + 1}`
      const page = await join(name)
      pages.push(page)
      await page.waitForFunction(() => window.hearth?.state().joinLink)
      joinLink = await page.evaluate(() => window.hearth.state().joinLink!)
      log(`${name} joined`)
      if (!known?.isEmpty()) continue
      await page.waitForFunction(() => window.hearth.state().abilities)
      await known.learn(page)
    }
    await meetEverybody(pages)
    log('everybody sees everybody')
    const { groups } = browsers
    const room = createDrivenRoom(pages, groups, options, synthServer?.url)
    return {
      ...room,
      async choose(...wanted) {
        const plan = await room.choose(...wanted)
        // Devices measure each model that is new to them.
        await known?.learn(pages[0]!)
        return plan
      },
      url,
      joinLink,
      pages,
      groups,
      join,
      async dismiss(page) {
        await page.evaluate(() => window.hearth.newRoom())
        await page.context().close()
      },
      stopServer,
      startServer: startServerAgain,
      async restartServer() {
        await stopServer()
        await startServerAgain()
      },
      async servedBytes() {
        const stats = (await (await fetch(`${url}/stats`)).json()) as { servedBytes: Record<string, number> }
        return stats.servedBytes
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
