/**
 * The engines that Hearth is measured against: installed when first needed, into a folder that git ignores, so that the
 * project depends on none of them.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const folder = path.join(import.meta.dirname, 'peers')
const nativeVersion = '3.22.1'

export const peerVersions = { '@wllama/wllama': '3.8.1', 'node-llama-cpp': nativeVersion } as const

/** Path of an installed package. */
export const peerPath = (name: keyof typeof peerVersions) => path.join(folder, 'node_modules', name)

/** llama.cpp compiled for this machine's processor. */
function nativeBinary(): string {
  const { platform, arch } = process
  if (platform === 'darwin') return `@node-llama-cpp/mac-${arch === 'arm64' ? 'arm64-metal' : arch}`
  return `@node-llama-cpp/${platform === 'win32' ? 'win' : platform}-${arch}`
}

/** @returns why llama.cpp itself cannot take part, or null. @throws Error when wllama cannot be installed */
export async function installPeers(log: (line: string) => void): Promise<{ nativeMissing: string | null }> {
  await mkdir(folder, { recursive: true })
  const manifest = path.join(folder, 'package.json')
  if (!existsSync(manifest)) await writeFile(manifest, '{ "private": true }\n')
  await install('@wllama/wllama', peerVersions['@wllama/wllama'], log)
  try {
    await install('node-llama-cpp', nativeVersion, log)
    await install(nativeBinary(), nativeVersion, log)
    return { nativeMissing: null }
  } catch (thrown) {
    return {
      nativeMissing: `${nativeBinary()} ${nativeVersion} is not to be had here: ${String(thrown).split('\n')[0]}`,
    }
  }
}

async function install(name: string, version: string, log: (line: string) => void): Promise<void> {
  if ((await installedVersion(name)) === version) return
  log(`installing ${name} ${version} under tests/bench/peers`)
  // No scripts and no optional packages: they would fetch builds for every GPU.
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional', '--no-workspaces']
  await run('npm', ['install', '--prefix', folder, ...quiet, '--save-exact', `${name}@${version}`], {
    timeout: 300_000,
  })
}

async function installedVersion(name: string): Promise<string | null> {
  const manifest = path.join(folder, 'node_modules', name, 'package.json')
  if (!existsSync(manifest)) return null
  return (JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version
}
