/**
 * Memory pressure: how much less memory the machine has available, as a share of all it has.
 *
 * Source: prima.cpp (arXiv 2504.08791 v2 §4.3). Available memory counts page cache that can be given back, so only
 * what a program really holds weighs.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'

const meminfo = '/proc/meminfo'
const lookEveryMs = 100

export interface PressureWatch {
  /** The largest drop so far, 0 to 1; null where the system does not say. */
  pressure(): number | null
  stop(): void
}

/** Takes what is available now for what there was before. */
export function watchPressure(read = readMeminfo): PressureWatch {
  const before = read()
  if (before === null) return { pressure: () => null, stop() {} }
  let least = before.availableBytes
  const look = () => {
    least = Math.min(least, read()?.availableBytes ?? least)
  }
  const timer = setInterval(look, lookEveryMs)
  return {
    pressure() {
      look()
      return (before.availableBytes - least) / before.totalBytes
    },
    stop: () => clearInterval(timer),
  }
}

type Meminfo = { totalBytes: number; availableBytes: number }

const readMeminfo = () => (existsSync(meminfo) ? parseMeminfo(readFileSync(meminfo, 'utf8')) : null)

/** @param text of /proc/meminfo, whose kB are 1024 bytes */
export function parseMeminfo(text: string): Meminfo {
  const bytesOf = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024
  return { totalBytes: bytesOf('MemTotal'), availableBytes: bytesOf('MemAvailable') }
}
