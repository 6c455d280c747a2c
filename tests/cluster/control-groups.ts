/**
 * Real limits for a program and everything it starts: memory, the page cache included, and the rate at which it reads
 * its disk.
 *
 * Source: Linux Documentation/admin-guide/cgroup-v1 (memory.rst, blkio-controller.rst) and cgroup-v2.rst.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { quoted, writeLauncher } from './launcher.ts'

export type Limits = {
  /** Of everything that is charged to the group: anonymous memory and the page cache of the files it reads. */
  memoryBytes?: number
  readBytesPerSec?: number
}

export type GroupFigures = {
  /** Most that was charged at once, page cache included; it may have stood at the limit without harm. */
  peakBytes: number
  /** Anonymous memory now: what no limit can take away. */
  residentBytes: number
  /** Page cache now. */
  cacheBytes: number
  /** Read from the disk itself, not from the page cache. */
  diskReadBytes: number
}

export interface ControlGroup {
  /** Replaces the limits named; what is not named stays. Infinity lifts one. */
  limit(limits: Limits): void
  figures(): GroupFigures
  /** What is charged to the group now. */
  usedBytes(): number
  /** Gives back what page cache the group holds: the next reads meet a cold disk. */
  dropCache(): void
  /** Writes a script that enters the group and becomes `program`. @returns the script's path */
  launcher(program: string, script: string): Promise<string>
  /** The group's processes must have ended, or be about to. */
  remove(): Promise<void>
}

export interface ControlGroups {
  create(name: string, limits: Limits): ControlGroup
}

/** Where each version of control groups keeps what; GROUP stands for the group's name. */
type Layout = {
  root: string
  folders: readonly string[]
  memoryLimit: string
  noMemoryLimit: string
  memoryUsed: string
  memoryPeak: string
  memoryStat: string
  resident: string
  cache: string
  reclaim: string
  readLimit: string
  readLimitText(device: string, bytesPerSec: number): string
  diskStat: string
  /** Finds the bytes read, behind the device's number. */
  diskRead: RegExp
}

const version1: Layout = {
  root: '/sys/fs/cgroup',
  folders: ['memory/GROUP', 'blkio/GROUP'],
  memoryLimit: 'memory/GROUP/memory.limit_in_bytes',
  noMemoryLimit: '-1',
  memoryUsed: 'memory/GROUP/memory.usage_in_bytes',
  memoryPeak: 'memory/GROUP/memory.max_usage_in_bytes',
  memoryStat: 'memory/GROUP/memory.stat',
  resident: 'total_rss',
  cache: 'total_cache',
  reclaim: 'memory/GROUP/memory.force_empty',
  readLimit: 'blkio/GROUP/blkio.throttle.read_bps_device',
  readLimitText: (device, bytesPerSec) => `${device} ${Number.isFinite(bytesPerSec) ? bytesPerSec : 0}`,
  diskStat: 'blkio/GROUP/blkio.throttle.io_service_bytes',
  diskRead: / Read (\d+)/,
}

const version2: Layout = {
  root: '/sys/fs/cgroup',
  folders: ['GROUP'],
  memoryLimit: 'GROUP/memory.max',
  noMemoryLimit: 'max',
  memoryUsed: 'GROUP/memory.current',
  memoryPeak: 'GROUP/memory.peak',
  memoryStat: 'GROUP/memory.stat',
  resident: 'anon',
  cache: 'file',
  reclaim: 'GROUP/memory.reclaim',
  readLimit: 'GROUP/io.max',
  readLimitText: (device, bytesPerSec) =>
    `${device} rbps=${Number.isFinite(bytesPerSec) ? bytesPerSec : 'max'}`,
  diskStat: 'GROUP/io.stat',
  diskRead: / rbytes=(\d+)/,
}

const removeTries = 50
const removeEveryMs = 100

/**
 * @param folder on the disk whose reads are limited
 * @returns a sentence where this machine or this user has none
 */
export function findControlGroups(folder: string): ControlGroups | string {
  if (process.platform !== 'linux') return 'Control groups are Linux alone: browsers run without real caps.'
  if (process.getuid?.() !== 0) return 'Only root may make control groups: browsers run without real caps.'
  const layout = [version1, version2].find(({ root, folders }) =>
    folders.every((name) => existsSync(path.join(root, path.dirname(name), 'cgroup.procs'))),
  )
  if (!layout) return 'No control groups are mounted here: browsers run without real caps.'
  const device = diskOf(folder)
  if (device === null) return `${folder} is on no disk of its own: browsers run without real caps.`
  try {
    // Version 2 hands controllers to groups only when told so; a parent that may not says so here.
    if (layout === version2) {
      writeFileSync(path.join(layout.root, 'cgroup.subtree_control'), '+memory +io')
    }
  } catch (thrown) {
    return `The control groups here are not ours to use (${String(thrown)}): browsers run without real caps.`
  }
  return { create: (name, limits) => createGroup(layout, device, name, limits) }
}

function createGroup(layout: Layout, device: string, name: string, limits: Limits): ControlGroup {
  const at = (file: string) => path.join(layout.root, file.replace('GROUP', name))
  const folders = layout.folders.map(at)
  const read = (file: string) => readFileSync(at(file), 'utf8')
  for (const folder of folders) mkdirSync(folder)
  const group: ControlGroup = {
    limit({ memoryBytes, readBytesPerSec }) {
      if (memoryBytes !== undefined) {
        const text = Number.isFinite(memoryBytes) ? String(Math.floor(memoryBytes)) : layout.noMemoryLimit
        writeFileSync(at(layout.memoryLimit), text)
      }
      if (readBytesPerSec !== undefined) {
        const text = layout.readLimitText(device, Math.floor(readBytesPerSec))
        writeFileSync(at(layout.readLimit), text)
      }
    },
    figures: () => ({
      peakBytes: Number(read(layout.memoryPeak)),
      ...parseMemoryStat(read(layout.memoryStat), layout),
      diskReadBytes: parseDiskRead(read(layout.diskStat), device, layout.diskRead),
    }),
    usedBytes: () => Number(read(layout.memoryUsed)),
    dropCache() {
      try {
        writeFileSync(at(layout.reclaim), String(Number.MAX_SAFE_INTEGER))
      } catch {
        // What could not be given back was in use.
      }
    },
    launcher(program, script) {
      const enter = folders.map((folder) => `echo $$ > ${quoted(path.join(folder, 'cgroup.procs'))}`)
      return writeLauncher(script, enter, program)
    },
    async remove() {
      for (const folder of folders) {
        for (let tries = 1; ; tries++) {
          try {
            rmdirSync(folder)
            break
          } catch (thrown) {
            // A browser's last processes end a moment after it.
            if (tries === removeTries) throw thrown
            await new Promise((resolve) => setTimeout(resolve, removeEveryMs))
          }
        }
      }
    },
  }
  group.limit(limits)
  return group
}

/** @param stat lines of "name bytes" */
export function parseMemoryStat(
  stat: string,
  { resident, cache }: Pick<Layout, 'resident' | 'cache'>,
): Pick<GroupFigures, 'residentBytes' | 'cacheBytes'> {
  const values = new Map(stat.split('\n').map((line) => line.split(' ') as [string, string]))
  return { residentBytes: Number(values.get(resident) ?? 0), cacheBytes: Number(values.get(cache) ?? 0) }
}

/** @param stat lines that begin with a device's number; no line for one that was not used yet */
export function parseDiskRead(stat: string, device: string, pattern: RegExp): number {
  const lines = stat.split('\n').filter((line) => line.startsWith(`${device} `))
  return Number(lines.map((line) => pattern.exec(line)?.[1]).find((bytes) => bytes !== undefined) ?? 0)
}

/** "major:minor" of the whole disk that holds `folder`, as limits are set on disks and not on their partitions; or null. */
function diskOf(folder: string): string | null {
  const { dev } = statSync(folder)
  // glibc's encoding of device numbers (sys/sysmacros.h), as far as JavaScript's integers go
  const [major, minor] = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)]
  const block = `/sys/dev/block/${major}:${minor}`
  if (!existsSync(block)) return null
  if (!existsSync(`${block}/partition`)) return `${major}:${minor}`
  return readFileSync(`${block}/../dev`, 'utf8').trim()
}
