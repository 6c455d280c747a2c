/**
 * What the address bar may override, for tests and for engineers: `?dtype=f32&threads=1&backend=reference`
 * `&memoryMB=512&gpuMB=256&softwareGpu=on&diskMBps=200&readAhead=off&name=Alice&temperature=0&maxTokens=64&drafts=never`.
 * Anything out of range is as if it were not there.
 *
 * @module
 */
import type { CreateClusterOptions, GenerateOptions } from './cluster.ts'

export type Overrides = {
  cluster: Pick<
    CreateClusterOptions,
    | 'dtype'
    | 'threads'
    | 'backend'
    | 'memoryBudgetBytes'
    | 'gpuBudgetBytes'
    | 'takesSoftwareGpu'
    | 'diskBytesPerSec'
    | 'readsAhead'
  >
  /** This device's name in the room. */
  name: string | null
  /** 0 is greedy. */
  temperature: number | null
  maxTokens: number | null
  drafts: NonNullable<GenerateOptions['drafts']> | null
}

/** @param search the query of the page's address, with or without its question mark */
export function parseOverrides(search: string): Overrides {
  const query = new URLSearchParams(search)
  const cluster: Overrides['cluster'] = {}
  const dtype = query.get('dtype')
  if (dtype === 'f16' || dtype === 'f32') cluster.dtype = dtype
  const backend = query.get('backend')
  if (backend === 'wasm' || backend === 'reference') cluster.backend = backend
  const threads = numberIn(query.get('threads'), 1, 64)
  if (threads !== null) cluster.threads = Math.round(threads)
  const diskMBps = numberIn(query.get('diskMBps'), 1, 100_000)
  if (diskMBps !== null) cluster.diskBytesPerSec = diskMBps * 1e6
  if (query.get('readAhead') === 'off') cluster.readsAhead = false
  const memoryMB = numberIn(query.get('memoryMB'), 16, 65_536)
  if (memoryMB !== null) cluster.memoryBudgetBytes = Math.round(memoryMB * 1e6)
  const gpuMB = numberIn(query.get('gpuMB'), 0, 65_536)
  if (gpuMB !== null) cluster.gpuBudgetBytes = Math.round(gpuMB * 1e6)
  if (query.get('softwareGpu') === 'on') cluster.takesSoftwareGpu = true
  const name = query.get('name')?.trim().slice(0, 64)
  const drafts = query.get('drafts')
  const maxTokens = numberIn(query.get('maxTokens'), 1, 1_000_000)
  return {
    cluster,
    name: name ? name : null,
    temperature: numberIn(query.get('temperature'), 0, 10),
    maxTokens: maxTokens === null ? null : Math.round(maxTokens),
    drafts: drafts === 'never' || drafts === 'always' ? drafts : null,
  }
}

function numberIn(text: string | null, least: number, most: number): number | null {
  if (text === null || text.trim() === '') return null
  const value = Number(text)
  return value >= least && value <= most ? value : null
}
