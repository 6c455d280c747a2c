/**
 * What this device can do, measured with the kernels and the store that it will use. Takes well under five seconds.
 *
 * @module
 */
import type { Backend } from '../backend/backend.ts'
import { weightTypes, type WeightType } from '../gguf/quant.ts'
import type { Abilities } from '../page/cluster.ts'
import { breathe } from '../breathe.ts'
import { toEngineError } from '../errors.ts'
import type { ShardStore } from '../store/shard-store.ts'

/** More than the last-level cache of most devices: decode reads every weight from memory. */
const matrixBytes = 48 * 2 ** 20
const cols = 2048
const productMs = 120
const diskBytes = 32 * 2 ** 20
const leastDiskBytes = 2 ** 15
const probe = { model: 'probe', file: 'disk' }

/** Matrix–vector rate by weight type, disk speed, threads. Yields between measurements, so that the worker still hears. */
export async function measureAbilities(backend: Backend, store: ShardStore): Promise<Abilities> {
  const weightBytesPerSec: Record<string, number> = {}
  for (const type of Object.keys(weightTypes) as WeightType[]) {
    weightBytesPerSec[type] = measureProduct(backend, type)
    await breathe()
  }
  const disk = await measureDisk(store)
  return {
    compute: backend.detail,
    threads: backend.threads,
    weightBytesPerSec,
    ...disk,
    measuredAtMs: Date.now(),
  }
}

/** Stored bytes of W (rows, cols) per second of y = W·x. */
function measureProduct(backend: Backend, type: WeightType): number {
  const { packing } = backend
  const groups = Math.max(1, Math.floor(matrixBytes / packing.groupBytes(type, cols)))
  const rows = groups * packing.rowGroup
  const byteLength = groups * packing.groupBytes(type, cols)
  const region = backend.region(byteLength)
  const x = backend.scratch(cols)
  const out = backend.scratch(rows)
  const w = backend.matrix(region, 0, type, rows, cols)
  // memory that was never written to may all be one page of zeros, and that lies in a cache
  region.bytes().fill(0)
  x.values().fill(1)
  backend.matmul([{ out, w }], x, 1)
  const start = performance.now()
  let products = 0
  let elapsedMs = 0
  do {
    backend.matmul([{ out, w }], x, 1)
    products++
    elapsedMs = performance.now() - start
  } while (elapsedMs < productMs)
  for (const thing of [region, x, out]) thing.free()
  return (products * byteLength * 1000) / elapsedMs
}

type DiskSpeed = Pick<Abilities, 'diskReadBytesPerSec' | 'diskWriteBytesPerSec'>

/** With less where the disk is nearly full: a device that stores its layers already can still take part. */
async function measureDisk(store: ShardStore): Promise<DiskSpeed> {
  for (let byteLength = diskBytes; ; byteLength /= 4) {
    try {
      return await measureDiskWith(store, byteLength)
    } catch (thrown) {
      if (toEngineError(thrown).code !== 'storage-full' || byteLength <= leastDiskBytes) throw thrown
    }
  }
}

/** Sequential, warm: the file was just written, so the page cache helps. */
async function measureDiskWith(store: ShardStore, byteLength: number): Promise<DiskSpeed> {
  const piece = crypto.getRandomValues(new Uint8Array(leastDiskBytes))
  const bytes = new Uint8Array(byteLength)
  for (let at = 0; at < byteLength; at += piece.length) bytes.set(piece, at)
  const perSec = (startMs: number) => (byteLength * 1000) / Math.max(0.1, performance.now() - startMs)
  try {
    const writing = await store.openWrite(probe)
    const writeStartMs = performance.now()
    try {
      writing.write(bytes, 0)
      writing.flush()
    } finally {
      writing.close()
    }
    const diskWriteBytesPerSec = perSec(writeStartMs)
    const reading = await store.openRead(probe)
    const readStartMs = performance.now()
    try {
      reading.read(bytes, 0)
    } finally {
      reading.close()
    }
    return { diskReadBytesPerSec: perSec(readStartMs), diskWriteBytesPerSec }
  } finally {
    await store.remove({ model: probe.model })
  }
}
