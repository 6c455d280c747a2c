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

const nothing = { engines: [], layers: [], context: [], ring: [] }

test('each target is judged within one type and number of threads', () => {
  const rows = [
    row('hearth', 36, 30),
    row('wllama', 10, 2),
    row('llama.cpp', 40, 80),
    row('llama.cpp', 20, 10, 1),
  ]
  expect(verdicts({ ...nothing, engines: rows })).toEqual([
    { what: 'decode ÷ wllama: Q4_K_M, 2 threads', value: 3.6, bound: 'at least', limit: 4, holds: false },
    { what: 'decode ÷ llama.cpp: Q4_K_M, 2 threads', value: 0.9, bound: 'at least', limit: 0.9, holds: true },
    {
      what: 'prefill of 512 ÷ wllama: Q4_K_M, 2 threads',
      value: 15,
      bound: 'at least',
      limit: 10,
      holds: true,
    },
    {
      what: 'prefill of 512 ÷ llama.cpp: Q4_K_M, 2 threads',
      value: 0.375,
      bound: 'at least',
      limit: 0.4,
      holds: false,
    },
  ])
})

test('what no other engine has measured is not judged, the roofline always is', () => {
  const roofline = { weightBytesPerToken: 1, readBytesPerSec: 1, share: 0.71 }
  const engines = [{ ...row('hearth', 36, 30, 1), roofline }]
  expect(verdicts({ ...nothing, engines })).toEqual([
    {
      what: 'share of the roofline: Q4_K_M, one thread',
      value: 0.71,
      bound: 'at least',
      limit: 0.7,
      holds: true,
    },
  ])
})

test('32 layers may take a tenth more than 8 and 16 promise', () => {
  const layers = (ms: number[]) =>
    ms.map((msPerToken, i) => ({ type: 'Q4_0' as const, threads: 1, layers: 8 << i, msPerToken }))
  expect(verdicts({ ...nothing, layers: layers([10, 18, 34]) })).toMatchObject([{ value: 1, holds: true }])
  expect(verdicts({ ...nothing, layers: layers([10, 18, 38]) })).toMatchObject([{ holds: false }])
})

test('attention may take longer behind more tokens, nothing else may', () => {
  const context = (attentionMs: number) =>
    [
      { context: 1, msPerToken: 10, attentionMs: 1 },
      { context: 2000, msPerToken: 14, attentionMs },
    ].map((row) => ({ type: 'Q4_0' as const, threads: 1, ...row }))
  expect(verdicts({ ...nothing, context: context(5) })).toMatchObject([{ value: 1, holds: true }])
  expect(verdicts({ ...nothing, context: context(3) })).toMatchObject([{ holds: false }])
})

test('a hop may take 1.5 ms, whatever the rounds', () => {
  const ring = [
    { cores: 'own' as const, tabs: 1, rounds: 1, hopsPerToken: 0, tpotMs: 10, msPerHop: null },
    {
      cores: 'own' as const,
      tabs: 2,
      rounds: 4,
      hopsPerToken: 8,
      tpotMs: 26,
      msPerHop: { median: 2, lowerQuartile: 1, upperQuartile: 3 },
    },
  ]
  expect(verdicts({ ...nothing, ring })).toMatchObject([
    { what: 'ms per hop, k = 4, own cores', value: 2, holds: false },
  ])
})
