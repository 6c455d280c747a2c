import { expect, test } from 'vitest'
import { verdicts } from './acceptance.ts'
import type { EngineRow } from './engines.ts'

const row = (engine: EngineRow['engine'], decode: number, prefill: number, threads = 2): EngineRow => ({
  type: 'Q4_K_M',
  threads,
  engine,
  detail: engine,
  msPerToken: 1000 / decode,
  decodeTokensPerSec: decode,
  prefillTokensPerSec: { 57: prefill, 512: prefill },
})

test('each target is judged within one type and number of threads', () => {
  const rows = [
    row('hearth', 36, 30),
    row('wllama', 10, 2),
    row('llama.cpp', 40, 80),
    row('llama.cpp', 20, 10, 1),
  ]
  expect(verdicts(rows)).toEqual([
    { what: 'decode ÷ wllama: Q4_K_M, 2 threads', ratio: 3.6, atLeast: 4, holds: false },
    { what: 'decode ÷ llama.cpp: Q4_K_M, 2 threads', ratio: 0.9, atLeast: 0.9, holds: true },
    { what: 'prefill of 512 ÷ wllama: Q4_K_M, 2 threads', ratio: 15, atLeast: 10, holds: true },
    { what: 'prefill of 512 ÷ llama.cpp: Q4_K_M, 2 threads', ratio: 0.375, atLeast: 0.4, holds: false },
  ])
})

test('what no other engine has measured is not judged, the roofline always is', () => {
  const roofline = { weightBytesPerToken: 1, readBytesPerSec: 1, share: 0.71 }
  expect(verdicts([{ ...row('hearth', 36, 30, 1), roofline }])).toEqual([
    { what: 'share of the roofline: Q4_K_M, one thread', ratio: 0.71, atLeast: 0.7, holds: true },
  ])
})
