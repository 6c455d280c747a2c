/**
 * A Chromium for the tests: the machine's own, Playwright's, or one that is installed now.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Page } from 'playwright'

const run = promisify(execFile)

const commands = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
const applications = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** What tests need of Chromium: rooted containers, nothing fetched in the background, host candidates with addresses. */
export const chromiumArgs = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
]

/** WebGPU without a GPU: SwiftShader, which computes on the processor. It needs a page from a secure origin. */
export const gpuArgs = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
]

/** Whether these brought one to the page's browser; Chromium has SwiftShader on Linux, elsewhere perhaps not. */
export const hasSoftwareGpu = (page: Page): Promise<boolean> =>
  page.evaluate(async () => (await navigator.gpu?.requestAdapter())?.info.architecture === 'swiftshader')
export const noSoftwareGpu = 'this browser has no WebGPU on SwiftShader'

/**
 * Path of a Chromium that runs here. Looks at CHROMIUM_PATH, Playwright's download and the usual places; then tries
 * Playwright's installer, then apt where we may use it.
 *
 * @throws Error that says what to do when there is none and none could be installed
 */
export async function chromiumPath(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const chosen = env['CHROMIUM_PATH']
  if (chosen) {
    if (await runs(chosen)) return chosen
    throw new Error(`CHROMIUM_PATH names ${chosen}, which does not run. Correct it, or unset it to search.`)
  }
  const found = await firstThatRuns(env)
  if (found) return found
  const attempts = [await attempt(installByPlaywright), await attempt(installByApt)]
  const installed = await firstThatRuns(env)
  if (installed) return installed
  throw new Error(
    `No Chromium was found and none could be installed (${attempts.join('; ')}). Install Chromium or Chrome, or set CHROMIUM_PATH to one.`,
  )
}

async function firstThatRuns(env: NodeJS.ProcessEnv): Promise<string | null> {
  const folders = (env['PATH'] ?? '').split(delimiter)
  const places = [
    chromium.executablePath(),
    ...commands.flatMap((command) => folders.map((folder) => join(folder, command))),
    ...applications,
  ]
  for (const place of places) if (existsSync(place) && (await runs(place))) return place
  return null
}

/** A download may lack libraries of the system: only an answer counts. */
const runs = (path: string) =>
  run(path, ['--version'], { timeout: 30_000 }).then(
    () => true,
    () => false,
  )

/** @returns what came of it, for the message to the person */
async function attempt(install: () => Promise<string>): Promise<string> {
  try {
    return await install()
  } catch (thrown) {
    return `${install.name} failed: ${String(thrown).split('\n')[0]}`
  }
}

async function installByPlaywright(): Promise<string> {
  const cli = join(dirname(createRequire(import.meta.url).resolve('playwright/package.json')), 'cli.js')
  const env = { ...process.env, PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '15000' }
  await run(process.execPath, [cli, 'install', 'chromium'], { timeout: 300_000, env })
  return 'playwright install chromium ended'
}

async function installByApt(): Promise<string> {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return 'apt-get is not ours to use'
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run('apt-get', ['update'], { timeout: 120_000, env })
  const packages = ['install', '-y', '--no-install-recommends', 'chromium']
  await run('apt-get', packages, { timeout: 300_000, env, maxBuffer: 64 * 1024 * 1024 })
  return 'apt-get install chromium ended'
}
