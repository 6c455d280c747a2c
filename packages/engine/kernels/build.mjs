// npm run build:kernels: every variant of the kernels from one source, into packages/engine/build.
//
//   relaxed-short  relaxed SIMD, sums of products in 16 bits while they fit (x86 without AVX-VNNI)
//   relaxed        relaxed SIMD, 32-bit dot products (ARM, x86 with AVX-VNNI)
//   simd           128-bit SIMD as in every browser since 2023
//   scalar         no SIMD: Safari before 16.4, processors without SSE4.1 (kernels/scalar)
//
// each with shared memory and atomics (…-threads) for pages that are cross-origin isolated, and without.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'
import binaryen from 'binaryen'

const here = dirname(fileURLToPath(import.meta.url))
const out = join(here, '..', 'build')
const common = [
  'index.ts',
  '--baseDir',
  here,
  '--noAssert',
  '--runtime',
  'stub',
  '--importMemory',
  '--initialMemory',
  '1',
  '--noExportMemory',
  '--disableWarning',
  '112',
]
const dots = {
  scalar: [],
  simd: ['--enable', 'simd'],
  relaxed: ['--enable', 'simd', '--enable', 'relaxed-simd'],
  'relaxed-short': ['--enable', 'simd', '--enable', 'relaxed-simd', '--use', 'SHORT_SUMS=1'],
}
const memories = { '': [], '-threads': ['--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536'] }

// What asc's -O3 does besides, nesting expressions, moves all loads of a loop's body to its top and all arithmetic behind
// them, and browsers keep to that order: a body that wants more than fifteen vectors at once spills them.
const passes = [
  'inlining',
  'vacuum',
  'precompute',
  'remove-unused-brs',
  'simplify-locals-nonesting',
  'vacuum',
  'coalesce-locals',
  'reorder-locals',
  'merge-blocks',
  'optimize-instructions',
  'dce',
  'remove-unused-module-elements',
]

function optimized(wasm) {
  // asc leaves settings of its own; sizes of functions count nodes: all that a loop calls is meant
  binaryen.setOptimizeLevel(3)
  binaryen.setFlexibleInlineMaxSize(2000)
  binaryen.setAlwaysInlineMaxSize(400)
  const module = binaryen.readBinary(wasm)
  module.setFeatures(binaryen.Features.All)
  module.runPasses(passes)
  const smaller = module.emitBinary()
  module.dispose()
  return smaller
}

mkdirSync(out, { recursive: true })
for (const [dot, dotFlags] of Object.entries(dots)) {
  for (const [memory, memoryFlags] of Object.entries(memories)) {
    const file = join(out, `${dot}${memory}.wasm`)
    const { error, stderr } = await asc.main([...common, ...dotFlags, ...memoryFlags, '-o', file], {
      writeFile: (_, wasm) => writeFileSync(file, optimized(wasm)),
    })
    if (error) {
      console.error(stderr.toString())
      throw error
    }
  }
}
