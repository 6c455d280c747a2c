/**
 * node --import tsx tests/bench/kernels.ts [--threads 1,2] [--arithmetic relaxed,simd] [--types Q4_0,Q8_0] [--json]
 *
 * GB/s of weights for one token and GOPS for many, by weight type and number of threads, beside what the same threads
 * reach by only reading the weights. Under Node; a browser's compiler may differ.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { chooseArithmetic, type Arithmetic } from '../../packages/engine/src/backend/wasm-kernels.ts'
import { createWasmBackend } from '../../packages/engine/src/backend/wasm.ts'
import { createNodeHost } from '../../packages/engine/src/node/wasm-host.ts'
import { benchTypes, measureKernels, type KernelSpeed } from './kernel-speed.ts'
import { table } from './tables.ts'

type Row = KernelSpeed & { arithmetic: Arithmetic; threads: number }

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1,2' },
    arithmetic: { type: 'string' },
    types: { type: 'string', default: benchTypes.join(',') },
    json: { type: 'boolean', default: false },
  },
})

const host = createNodeHost()
const arithmetics = (values.arithmetic?.split(',') ?? [chooseArithmetic()]) as Arithmetic[]
const rows: Row[] = []
for (const arithmetic of arithmetics) {
  for (const threads of values.threads.split(',').map(Number)) {
    const backend = await createWasmBackend(host, { threads, arithmetic })
    for (const type of benchTypes.filter((name) => values.types.split(',').includes(name))) {
      rows.push({ arithmetic, threads, ...measureKernels(backend, type) })
    }
    backend.close()
  }
}
console.log(values.json ? JSON.stringify(rows) : speedTable(rows))

function speedTable(measured: readonly Row[]): string {
  const lines = measured.map(({ type, arithmetic, threads, decodeGBs, readGBs, batchGops, prefillGops }) => {
    const share = `${Math.round((100 * decodeGBs) / readGBs)} %`
    const figures = [decodeGBs, readGBs].map((gbs) => gbs.toFixed(1))
    const gops = [batchGops, prefillGops].map((value) => value.toFixed(0))
    return [type, arithmetic, threads, ...figures, share, ...gops]
  })
  const rates = ['1 token, GB/s', 'only read, GB/s', 'share', '4 tokens, GOPS', '64 tokens, GOPS']
  return table(['weights', 'arithmetic', 'threads', ...rates], lines)
}
