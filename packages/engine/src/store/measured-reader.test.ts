import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMeasuredReader } from './measured-reader.ts'

const name = { model: 'm', file: 'layer-0', offset: 0 }
const bytes = (length: number) => () => new Uint8Array(length)
const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

describe('a reader that is measured', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('counts time in which two reads are under way once, and time between reads not at all', async () => {
    const reader = createMeasuredReader({ read: (_, into) => after(into().length), close() {} })
    const both = Promise.all([reader.read(name, bytes(30)), reader.read(name, bytes(50))])
    await vi.advanceTimersByTimeAsync(1000)
    await both
    expect(reader.stats()).toEqual({ readBytes: 80, readingMs: 50 })
    const third = reader.read(name, bytes(20))
    await vi.advanceTimersByTimeAsync(1000)
    await third
    expect(reader.stats()).toEqual({ readBytes: 100, readingMs: 70 })
  })

  it('tells its rate while one read follows another without a pause', async () => {
    const reader = createMeasuredReader({ read: (_, into) => after(into().length), close() {} })
    const first = reader.read(name, bytes(30))
    const second = reader.read(name, bytes(50))
    await vi.advanceTimersByTimeAsync(40)
    await first
    expect(reader.stats()).toEqual({ readBytes: 30, readingMs: 30 })
    await vi.advanceTimersByTimeAsync(1000)
    await second
  })

  it('counts the time of a read that failed, and none of its bytes', async () => {
    const read = () => after(10).then(() => Promise.reject(new Error('torn')))
    const reader = createMeasuredReader({ read, close() {} })
    const torn = expect(reader.read(name, bytes(30))).rejects.toThrow('torn')
    await vi.advanceTimersByTimeAsync(10)
    await torn
    expect(reader.stats()).toEqual({ readBytes: 0, readingMs: 10 })
  })
})
