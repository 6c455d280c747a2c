import { describe, expect, it } from 'vitest'
import { parseOverrides } from './overrides.ts'

describe('overrides in the address', () => {
  it('are none for a plain address', () => {
    expect(parseOverrides('')).toEqual({
      cluster: {},
      name: null,
      temperature: null,
      maxTokens: null,
      drafts: null,
    })
  })

  it('reach the cluster in its own units', () => {
    const { cluster, name, temperature, maxTokens, drafts } = parseOverrides(
      '?dtype=f32&threads=1&backend=reference&memoryMB=512&gpuMB=0&softwareGpu=on&diskMBps=200&readAhead=off&name=%20Alice%20&temperature=0&maxTokens=64&drafts=never',
    )
    expect(cluster).toEqual({
      dtype: 'f32',
      threads: 1,
      backend: 'reference',
      memoryBudgetBytes: 512_000_000,
      gpuBudgetBytes: 0,
      takesSoftwareGpu: true,
      diskBytesPerSec: 200_000_000,
      readsAhead: false,
    })
    expect([name, temperature, maxTokens, drafts]).toEqual(['Alice', 0, 64, 'never'])
  })

  it('are ignored when they make no sense', () => {
    const nonsense =
      '?dtype=f64&threads=0&backend=gpu&memoryMB=lots&gpuMB=-1&softwareGpu=maybe&readAhead=maybe&name=&temperature=&maxTokens=-3&drafts=maybe'
    expect(parseOverrides(nonsense)).toEqual({
      cluster: {},
      name: null,
      temperature: null,
      maxTokens: null,
      drafts: null,
    })
  })

  it('cut a name to what the protocol takes', () => {
    expect(parseOverrides(`?name=${'a'.repeat(100)}`).name).toHaveLength(64)
  })
})
