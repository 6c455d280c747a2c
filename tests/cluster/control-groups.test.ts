import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { findControlGroups, parseDiskRead, parseMemoryStat } from './control-groups.ts'

describe('what the kernel writes', () => {
  test('of memory, in version 1 and 2', () => {
    const version1 = 'cache 5\nrss 6\ntotal_cache 70\ntotal_rss 80\n'
    expect(parseMemoryStat(version1, { resident: 'total_rss', cache: 'total_cache' })).toEqual({
      residentBytes: 80,
      cacheBytes: 70,
    })
    const version2 = 'anon 11\nfile 12\nanon_thp 13\n'
    expect(parseMemoryStat(version2, { resident: 'anon', cache: 'file' })).toEqual({
      residentBytes: 11,
      cacheBytes: 12,
    })
  })

  test('of a disk, among other disks, and nothing for one that was not read yet', () => {
    const version1 = '7:0 Read 1\n254:0 Write 9\n254:0 Read 4096\n254:0 Total 4105\nTotal 4106\n'
    expect(parseDiskRead(version1, '254:0', / Read (\d+)/)).toBe(4096)
    const version2 = '7:0 rbytes=1 wbytes=2\n254:0 rbytes=8192 wbytes=3 rios=2\n'
    expect(parseDiskRead(version2, '254:0', / rbytes=(\d+)/)).toBe(8192)
    expect(parseDiskRead('', '254:0', / Read (\d+)/)).toBe(0)
  })
})

const folder = mkdtempSync(path.join(tmpdir(), 'hearth groups-'))
afterAll(() => rmSync(folder, { recursive: true }))
const groups = findControlGroups(folder)

describe.skipIf(typeof groups === 'string')('a control group', () => {
  const { create } = groups as Exclude<typeof groups, string>

  test('caps what its program may hold and counts it, and is gone afterwards', async () => {
    const name = `hearth-test-${process.pid}`
    const group = create(name, { memoryBytes: 200e6 })
    try {
      const node = await group.launcher(process.execPath, path.join(folder, 'launch'))
      const holding = (bytes: number) => spawnSync(node, ['-e', `Buffer.alloc(${bytes}, 1)`])
      expect(holding(50e6).status).toBe(0)
      expect(group.figures().peakBytes).toBeGreaterThan(50e6)
      expect(group.figures().peakBytes).toBeLessThan(200e6)
      // The kernel ends what cannot be given less memory.
      expect(holding(400e6).signal).toBe('SIGKILL')
      expect(group.figures().residentBytes).toBeLessThan(50e6)
    } finally {
      await group.remove()
    }
    expect(() => group.figures()).toThrow('ENOENT')
  })
})
