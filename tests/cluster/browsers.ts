/**
 * Headless Chromium browsers with storage of their own, each under real limits where the machine has them.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import type { Caps } from './cluster-options.ts'
import { findControlGroups, type ControlGroup } from './control-groups.ts'
import { writeLauncher } from './launcher.ts'
import { onCore } from './own-cores.ts'

export type BrowserOptions = {
  /** Of the command line, beside those of every browser. */
  args?: readonly string[]
  /** Measures itself, whatever is known of the machine. */
  measures?: boolean
  /** Before the page opens. */
  prepare?(context: BrowserContext): Promise<unknown>
}

export interface Browsers {
  /** Of those that run under real limits, in the order they were opened. */
  readonly groups: readonly ControlGroup[]
  /** One more, with an empty page. @param isLimited whether `caps` hold for it */
  open(isLimited: boolean, browser?: BrowserOptions): Promise<Page>
  /** Ends all of them and removes what they stored. */
  close(): Promise<void>
}

export type BrowsersOptions = {
  /** Real limits of those that are limited. */
  caps?: Caps | undefined
  /** Each on a core of its own, by number; see `lackOfOwnCores`. */
  ownCores?: boolean
  /** Somebody else closes them when the process is told to end. */
  endsOnSignals?: boolean
  log?: (line: string) => void
}

export async function createBrowsers({
  caps,
  ownCores = false,
  endsOnSignals = false,
  log = () => {},
}: BrowsersOptions): Promise<Browsers> {
  const profiles = await mkdtemp(path.join(tmpdir(), 'hearth-cluster-'))
  const found = caps ? findControlGroups(profiles) : null
  if (typeof found === 'string') log(found)
  const executablePath = chromiumPath()
  const groups: ControlGroup[] = []
  const launches: Promise<BrowserContext>[] = []

  async function programOf(device: number, isLimited: boolean): Promise<string> {
    const program = await limitedProgram(device, isLimited)
    return ownCores
      ? writeLauncher(path.join(profiles, `core-${device}`), [onCore(device)], program)
      : program
  }

  /** Chromium, or what starts it under the limits of this device. */
  async function limitedProgram(device: number, isLimited: boolean): Promise<string> {
    if (found === null || typeof found === 'string' || !isLimited) return executablePath
    const { memoryBytes, diskBytesPerSec } = caps!
    const cap = memoryBytes?.[device % memoryBytes.length]
    const group = found.create(`hearth-${process.pid}-${path.basename(profiles)}-${device}`, {
      ...(cap === undefined ? {} : { memoryBytes: cap }),
      ...(diskBytesPerSec === undefined ? {} : { readBytesPerSec: diskBytesPerSec }),
    })
    groups.push(group)
    return group.launcher(await executablePath, path.join(profiles, `chromium-${device}`))
  }

  return {
    groups,
    async open(isLimited, { args = [], prepare } = {}) {
      // Private windows keep OPFS in memory: each device gets a profile on disk.
      const device = launches.length
      const profile = path.join(profiles, String(device))
      const launch = programOf(device, isLimited).then((executablePath) =>
        chromium.launchPersistentContext(profile, {
          executablePath,
          args: [...chromiumArgs, ...args],
          // Each device paints its own screen: these would all paint theirs with the cores that compute, and in software.
          reducedMotion: 'reduce',
          // Playwright would exit at once and leave the profiles.
          ...(endsOnSignals ? { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false } : {}),
        }),
      )
      launches.push(launch)
      const context = await launch
      await prepare?.(context)
      return context.pages()[0] ?? context.newPage()
    },
    async close() {
      await Promise.allSettled(launches.map(async (launch) => (await launch).close()))
      await Promise.all(groups.map((group) => group.remove()))
      // A browser may still write its last files.
      await rm(profiles, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    },
  }
}
