/**
 * A whole cluster on one machine: the real server and N headless Chromium browsers with separate storage, joined by
 * the link as people join them.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import path from 'node:path'
import type { ChatMessage, Cluster, ClusterState, GenerateStats } from '@hearth/engine'
import type { Plan, PlanRequest } from '@hearth/halda'
import { startServer } from '@hearth/signal/server'
import { chromium, type BrowserContext, type Page } from 'playwright'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import { findControlGroups, type ControlGroup } from './control-groups.ts'
import { deviceFigures, type DeviceFigures } from './device-figures.ts'
import { isModelFile, synthNamed } from './model-names.ts'
import { serveRanges, synthContent } from './serve-ranges.ts'

const root = path.resolve(import.meta.dirname, '../..')
const defaultNames = ['alice', 'bob', 'charlie', 'dora', 'emil', 'frida', 'georg', 'hanna']
const readyTimeoutMs = 120_000
const failureStandsMs = 1500

declare global {
  interface Window {
    hearth: Cluster
  }
}

export type ClusterOptions = {
  devices: number
  /** 'demo', a path, 'owner/repo/file.gguf', a URL, or 'synth:SHAPE:TYPE' for synthetic weights. */
  model: string
  /** 'even': every device takes part; 'fastest': Halda may leave devices out. */
  split: 'even' | 'fastest'
  /** Layers of each device, in the order they join; instead of `split`. */
  layers?: readonly number[]
  /** Trips round the ring per token. */
  rounds?: number
  /** Memory of each device, repeated when there are fewer than devices; careful defaults when absent. */
  budgetsBytes?: readonly number[]
  /** Makes every store as slow as that. */
  diskBytesPerSec?: number
  /** False reads streamed layers when they run and no sooner. */
  readsAhead?: boolean
  /**
   * Real limits of each browser with all its processes, by control groups: measured even where empty, done without, in
   * a logged sentence, where there are none.
   */
  caps?: Caps
  dtype: 'f16' | 'f32'
  threads?: number
  backend?: 'wasm' | 'reference'
  /** What the devices call themselves. */
  names?: readonly string[]
  log?: (line: string) => void
  /** On SIGINT, SIGTERM and SIGHUP: closes everything, then ends the process. */
  endsOnSignals?: boolean
}

export type Caps = {
  /** Memory of each browser, page cache included, repeated when there are fewer than devices. */
  memoryBytes?: readonly number[]
  /** Of each browser for itself. */
  diskBytesPerSec?: number
}

export interface RunningCluster {
  readonly url: string
  readonly joinLink: string
  readonly pages: Page[]
  /** Of each device that runs under real limits; none where the machine has none or no caps were asked for. */
  readonly groups: readonly ControlGroup[]
  /**
   * Chooses the model on the first device and waits until everybody sees 'ready'.
   *
   * @param rounds instead of those that the cluster was started with
   */
  choose(model: string, rounds?: number): Promise<Plan>
  /** Asks from one device; several turns by passing the whole conversation. */
  chat(
    from: number,
    chat: string,
    messages: ChatMessage[],
    options?: AskOptions,
  ): Promise<{ text: string; stats: GenerateStats }>
  state(device: number): Promise<ClusterState>
  waitUntilReady(): Promise<void>
  figures(): Promise<DeviceFigures[]>
  /** Bytes of each model that the server has sent. */
  servedBytes(): Promise<Record<string, number>>
  /** One more browser with storage of its own, opened and led to the room; not one of `pages`. */
  join(name: string, browser?: BrowserOptions): Promise<Page>
  stopServer(): Promise<void>
  /** Opens the server again at the same address, knowing nothing. */
  startServer(): Promise<void>
  restartServer(): Promise<void>
  close(): Promise<void>
}

export type BrowserOptions = {
  /** Of the command line, beside those of every browser. */
  args?: readonly string[]
  /** Before the page opens. */
  prepare?(context: BrowserContext): Promise<unknown>
}

export type AskOptions = { maxTokens?: number; temperature?: number; topP?: number; seed?: number }

export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { devices, names = defaultNames, log = () => {} } = options
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
  const profiles = await mkdtemp(path.join(tmpdir(), 'hearth-cluster-'))
  const found = options.caps ? findControlGroups(profiles) : null
  if (typeof found === 'string') log(found)
  const groups: ControlGroup[] = []
  const { url, port } = server
  const stopServer = () => server.close()
  const startServerAgain = async () => {
    server = await startServer({ ...serverOptions, port })
  }
  const launches: Promise<BrowserContext>[] = []
  const pages: Page[] = []
  const closeAll = async () => {
    await Promise.allSettled(launches.map(async (launch) => (await launch).close()))
    await Promise.all([server.close(), synthServer?.close()])
    await Promise.all(groups.map((group) => group.remove()))
    // A browser may still write its last files.
    await rm(profiles, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
  let closing: Promise<void> | null = null
  const close = () => (closing ??= closeAll())
  if (options.endsOnSignals) {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(name, () => void close().finally(() => process.exit(128 + constants.signals[name])))
  }

  let joinLink = ''
  const executablePath = chromiumPath()
  /** Chromium, or what starts it under the limits of this device. */
  async function programOf(device: number): Promise<string> {
    if (found === null || typeof found === 'string' || device >= devices) return executablePath
    const { memoryBytes, diskBytesPerSec } = options.caps!
    const cap = memoryBytes?.[device % memoryBytes.length]
    const group = found.create(`hearth-${process.pid}-${path.basename(profiles)}-${device}`, {
      ...(cap === undefined ? {} : { memoryBytes: cap }),
      ...(diskBytesPerSec === undefined ? {} : { readBytesPerSec: diskBytesPerSec }),
    })
    groups.push(group)
    return group.launcher(await executablePath, path.join(profiles, `chromium-${device}`))
  }

  const join = async (name: string, { args = [], prepare }: BrowserOptions = {}) => {
    // Private windows keep OPFS in memory: each device gets a profile on disk.
    const device = launches.length
    const profile = path.join(profiles, String(device))
    const launch = programOf(device).then((executablePath) =>
      chromium.launchPersistentContext(profile, {
        executablePath,
        args: [...chromiumArgs, ...args],
        // Playwright would exit at once and leave the profiles.
        ...(options.endsOnSignals ? { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false } : {}),
      }),
    )
    launches.push(launch)
    const context = await launch
    await prepare?.(context)
    const page = context.pages()[0] ?? (await context.newPage())
    page.on('pageerror', (error) => log(`${name}: ${error.message}`))
    const address = new URL(joinLink || url)
    for (const [key, value] of Object.entries(overrides(options, device, name)))
      address.searchParams.set(key, value)
    await page.goto(address.href)
    return page
  }

  try {
    for (let i = 0; i < devices; i++) {
      const name = names[i] ?? `device ${i + 1}`
      const page = await join(name)
      pages.push(page)
      await page.waitForFunction(() => window.hearth?.state().joinLink)
      joinLink = await page.evaluate(() => window.hearth.state().joinLink!)
      log(`${name} joined`)
    }
    await onAll(pages, (page) =>
      page.waitForFunction(
        (n) => {
          const { room, links, abilities } = window.hearth.state()
          const open = Object.values(links).filter((phase) => phase === 'open').length
          const measured = room?.devices.filter(
            ({ profile }) => Object.keys(profile?.hopMs ?? {}).length === n - 1,
          )
          return abilities !== null && measured?.length === n && open === n - 1
        },
        devices,
        { timeout: readyTimeoutMs },
      ),
    )
    log('everybody sees everybody')
    return {
      ...createRunning(url, joinLink, pages, groups, options, close, synthServer?.url),
      join,
      stopServer,
      startServer: startServerAgain,
      async restartServer() {
        await stopServer()
        await startServerAgain()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function createRunning(
  url: string,
  joinLink: string,
  pages: Page[],
  groups: readonly ControlGroup[],
  options: ClusterOptions,
  close: () => Promise<void>,
  synthUrl: string | undefined,
): Omit<RunningCluster, 'join' | 'stopServer' | 'startServer' | 'restartServer'> {
  const state = (device: number) => pages[device]!.evaluate(() => window.hearth.state())

  /** What a person would type or pick for it. */
  function sourceOf(model: string): string {
    if (model === 'demo') return '/models/demo-q8_0.gguf'
    if (synthUrl !== undefined && model.startsWith('synth:')) return synthUrl
    return existsSync(model) ? `/models/${encodeURIComponent(path.basename(model))}` : model
  }

  async function planRequest(rounds: number | undefined): Promise<PlanRequest> {
    const { split, layers } = options
    if (layers) {
      const ids = await Promise.all(pages.map(async (_, i) => (await state(i)).device))
      return { split: 'manual', layers: Object.fromEntries(layers.map((n, i) => [ids[i], n])), rounds }
    }
    return split === 'even' ? { split, rounds } : { split }
  }

  const waitUntilReady = () => onAll(pages, readyOn)

  /**
   * However long it takes while something happens: 40 GB take minutes. A failure counts once it has stood for a while:
   * the next plan may be on its way.
   */
  async function readyOn(page: Page): Promise<void> {
    const readiness = () => page.evaluate(() => window.hearth.state().readiness)
    for (;;) {
      const seen = await readiness()
      if (seen.phase === 'ready') return
      if (seen.phase !== 'failed' && seen.phase !== 'no-plan') {
        await page.waitForFunction(
          (seen) => JSON.stringify(window.hearth.state().readiness) !== seen,
          JSON.stringify(seen),
          { timeout: readyTimeoutMs, polling: 200 },
        )
        continue
      }
      await new Promise((resolve) => setTimeout(resolve, failureStandsMs))
      const still = await readiness()
      if (still.phase === 'failed' || still.phase === 'no-plan') throw new Error(still.message)
    }
  }

  return {
    url,
    joinLink,
    pages,
    groups,
    state,
    waitUntilReady,
    close,
    async choose(model, rounds = options.rounds) {
      const source = sourceOf(model)
      const request = await planRequest(rounds)
      await pages[0]!.evaluate(([source, request]) => window.hearth.choose(source, request), [
        source,
        request,
      ] as const)
      await pages[0]!.waitForFunction(
        ([name, rounds]) => {
          const { choice, numbered } = window.hearth.state().room!
          const planned = numbered?.plan.rounds
          return choice?.model.url.endsWith(name) && (rounds ?? planned) === planned
        },
        [path.basename(source), rounds] as const,
        { timeout: readyTimeoutMs },
      )
      await waitUntilReady()
      return (await state(0)).room!.numbered!.plan
    },
    async chat(from, chat, messages, { maxTokens = 200, temperature = 0, topP = 1, seed = 0 } = {}) {
      const generate = { maxTokens, temperature, topP, seed }
      return pages[from]!.evaluate(
        async ([chat, messages, generate]) => {
          let text = ''
          for await (const event of window.hearth.generate(chat, messages, generate)) {
            if (event.type === 'token') text += event.text
            if (event.type === 'done') return { text, stats: event.stats }
          }
          throw new Error('The answer ended without its figures.')
        },
        [chat, messages, generate] as const,
      )
    },
    async figures() {
      // A device reports its memory a few times a second.
      await new Promise((resolve) => setTimeout(resolve, 500))
      const states = await Promise.all(pages.map((_, i) => state(i)))
      return states.map((state, i) => deviceFigures(state, groups[i]))
    },
    async servedBytes() {
      const stats = (await (await fetch(`${url}/stats`)).json()) as { servedBytes: Record<string, number> }
      return stats.servedBytes
    },
  }
}

function overrides(options: ClusterOptions, device: number, name: string): Record<string, string> {
  const { dtype, threads, backend, budgetsBytes, diskBytesPerSec, readsAhead = true } = options
  const budgetBytes = budgetsBytes?.[device % budgetsBytes.length]
  return {
    name,
    dtype,
    ...(threads === undefined ? {} : { threads: String(threads) }),
    ...(backend === undefined ? {} : { backend }),
    ...(budgetBytes === undefined ? {} : { memoryMB: String(budgetBytes / 1e6) }),
    ...(diskBytesPerSec === undefined ? {} : { diskMBps: String(diskBytesPerSec / 1e6) }),
    ...(readsAhead ? {} : { readAhead: 'off' }),
  }
}

const onAll = async (pages: Page[], act: (page: Page) => Promise<unknown>) =>
  void (await Promise.all(pages.map(act)))
