import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const run = promisify(execFile)
const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** V8 leaves out WebAssembly SIMD where the processor lacks SSE4.1; ARM always has it. */
const canLackSimd = process.arch === 'x64' || process.arch === 'ia32'
const why = canLackSimd ? '' : ': skipped, this processor cannot be run without SIMD'

describe.skipIf(!canLackSimd)(`where WebAssembly has no SIMD${why}`, () => {
  const withoutSimd = (...args: string[]) => run(process.execPath, ['--no-enable-sse4-1', ...args])

  test('of the kernels only the scalar ones are valid', async () => {
    const builds = ['scalar', 'scalar-threads', 'simd'].map((name) => file(`../../build/${name}.wasm`))
    const { stdout } = await withoutSimd(
      '--eval',
      'console.log(process.argv.slice(1).map((path) => WebAssembly.validate(fs.readFileSync(path))).join())',
      ...builds,
    )
    expect(stdout.trim()).toBe('true,true,false')
  })

  test('a model answers by the scalar kernels, without being told to', async () => {
    const model = file('../../../../public/models/demo-q4_k_m.gguf')
    const { stdout, stderr } = await withoutSimd(
      '--import',
      'tsx',
      file('./cli.ts'),
      'run',
      model,
      '--chat',
      '--greedy',
      '--prompt',
      'What is 7 + 5?',
      '--threads',
      '2',
    )
    expect(stdout.trim(), stderr).toBe('7 plus 5 is 12.')
  })
})
