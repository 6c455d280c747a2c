import { describe, expect, it } from 'vitest'
import { EngineError } from '../errors.ts'
import type { Gpu } from '../gpu/gpu.ts'
import type { FoundGpu } from '../gpu/open-gpu.ts'
import type { GpuView } from '../page/cluster.ts'
import { createOwnGpu } from './own-gpu.ts'

const name = 'acme gen-9'
const lostIt = new EngineError('gpu-lost', 'The GPU stopped.')

function visit(open: () => Promise<Gpu>, budgetBytes = 1e9) {
  const views: (GpuView | null)[] = []
  let opened = 0
  const found: FoundGpu = {
    name,
    open() {
      opened++
      return open()
    },
  }
  const own = createOwnGpu({
    find: async () => found,
    budgetBytes,
    onchange: (view) => views.push(view),
  })
  return { own, views, opened: () => opened }
}

/** Nothing of a GPU but what ends it. */
function deviceGpu() {
  let lose!: () => void
  const lost = new Promise<EngineError>((resolve) => (lose = () => resolve(lostIt)))
  return { gpu: { name, lost } as Gpu, lose }
}

describe('the GPU of a device', () => {
  it('is named without being opened, and opened once', async () => {
    const { gpu } = deviceGpu()
    const { own, views, opened } = visit(async () => gpu)
    expect(await own.name()).toBe(name)
    expect(opened()).toBe(0)
    expect(await Promise.all([own.open(), own.open()])).toEqual([gpu, gpu])
    expect(opened()).toBe(1)
    expect(views).toEqual([{ name, problem: null }])
  })

  it('is not opened while it is switched off', async () => {
    const { gpu } = deviceGpu()
    const { own, opened } = visit(async () => gpu, 0)
    expect([await own.name(), await own.open(), own.budgetBytes()]).toEqual([null, null, 0])
    own.setBudget(5e8)
    expect([await own.name(), own.budgetBytes()]).toEqual([name, 5e8])
    expect(opened()).toBe(0)
  })

  it('is not used any more when it was refused, and a sentence says why', async () => {
    const { own, views, opened } = visit(async () => {
      throw new EngineError('gpu-refused', 'It computes wrongly.')
    })
    expect(await own.open()).toBeNull()
    expect(await own.open()).toBeNull()
    expect(opened()).toBe(1)
    await expect.poll(() => views.at(-1)).toEqual({ name, problem: 'It computes wrongly.' })
    expect([await own.name(), own.budgetBytes()]).toEqual([null, 0])
  })

  it('is not used any more when it is lost', async () => {
    const { gpu, lose } = deviceGpu()
    const { own, views } = visit(async () => gpu)
    expect(await own.open()).toBe(gpu)
    lose()
    await expect.poll(() => views.at(-1)).toEqual({ name, problem: lostIt.message })
    expect([await own.open(), own.budgetBytes()]).toEqual([null, 0])
  })

  it('is none where the browser offers none', async () => {
    const views: unknown[] = []
    const own = createOwnGpu({
      find: async () => null,
      budgetBytes: 1e9,
      onchange: (view) => views.push(view),
    })
    expect([await own.name(), await own.open()]).toEqual([null, null])
    expect(views).toEqual([null])
  })
})
