/**
 * `npm run cluster -- --devices N --model PATH|URL|demo [--prompt T] [--max-tokens N] [--json]`
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { measureAnswer, type AnswerFigures } from './answer-figures.ts'
import { count, number, oneOf, sizes } from '../arguments.ts'
import { watchPressure } from './memory-pressure.ts'
import { startCluster } from './run-cluster.ts'
import { openTimerTab } from './timer-tab.ts'

const usage = `Usage: npm run cluster -- [options]

  --devices N          headless Chromium browsers to start (default 3)
  --model M            demo, a GGUF file, owner/repo/file.gguf, a URL, or synth:llama-3-8b:Q4_K_M
                       for synthetic weights (default demo)
  --prompt TEXT        what to ask (default "How do you work?")
  --max-tokens N       longest answer (default 200)
  --temperature T      0 is greedy (default 0)
  --seed N             for temperatures above 0 (default 0)
  --split even|fastest every device takes part, or Halda decides (default even)
  --layers A,B,…       layers of each device instead of --split
  --gpu                WebGPU in every browser, on SwiftShader: slower than the processor, but the same path
  --gpu-budget A,B,…   memory of each device's GPU, such as 256MB; 0MB switches it off
  --gpu-layers A,B,…   of --layers, those on each device's GPU
  --rounds K           trips round the ring per token (default 1)
  --budget A,B,…       memory of each device, such as 512MB,1GB (default: what each offers)
  --slow-disk MB/s     makes every store as slow as that
  --cap A,B,…          real memory of each browser, page cache included, such as 1.5GB; a browser itself takes
                       about 0.4 GB beside what --budget names (root on Linux, by control groups)
  --disk-cap MB/s      what each browser really gets from the disk (likewise)
  --timer              how late a timer of 50 ms is in one more tab meanwhile
  --ask-from N         which device asks, from 1 (default the first)
  --dtype f16|f32      hidden states on the wire (default f16)
  --threads N          per device (default: measured)
  --backend wasm|reference
  --json               one object on stdout and nothing else`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      devices: { type: 'string', default: '3' },
      model: { type: 'string', default: 'demo' },
      prompt: { type: 'string', default: 'How do you work?' },
      'max-tokens': { type: 'string', default: '200' },
      temperature: { type: 'string', default: '0' },
      seed: { type: 'string', default: '0' },
      split: { type: 'string', default: 'even' },
      layers: { type: 'string' },
      gpu: { type: 'boolean', default: false },
      'gpu-budget': { type: 'string' },
      'gpu-layers': { type: 'string' },
      rounds: { type: 'string' },
      budget: { type: 'string' },
      'slow-disk': { type: 'string' },
      cap: { type: 'string' },
      'disk-cap': { type: 'string' },
      timer: { type: 'boolean', default: false },
      'ask-from': { type: 'string', default: '1' },
      dtype: { type: 'string', default: 'f16' },
      threads: { type: 'string' },
      backend: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(usage)
  const log = (line: string) => console.error(line)
  const devices = count('devices', values.devices, 1, 8)
  const askFrom = count('ask-from', values['ask-from'], 1, devices) - 1
  const sampling = {
    maxTokens: count('max-tokens', values['max-tokens'], 1, 100_000),
    temperature: number('temperature', values.temperature, 0, 10),
    seed: count('seed', values.seed, 0, 0xffff_ffff),
  }
  const caps = {
    ...(values.cap === undefined ? {} : { memoryBytes: sizes('cap', values.cap) }),
    ...(values['disk-cap'] === undefined
      ? {}
      : { diskBytesPerSec: count('disk-cap', values['disk-cap'], 1, 100_000) * 1e6 }),
  }
  const cluster = await startCluster({
    devices,
    model: values.model,
    split: oneOf('split', values.split, ['even', 'fastest']),
    dtype: oneOf('dtype', values.dtype, ['f16', 'f32']),
    ...(values.layers === undefined
      ? {}
      : { layers: values.layers.split(',').map((n) => count('layers', n, 0, 1024)) }),
    ...(values['gpu-layers'] === undefined
      ? {}
      : { gpuLayers: values['gpu-layers'].split(',').map((n) => count('gpu-layers', n, 0, 1024)) }),
    gpu: values.gpu,
    ...(values['gpu-budget'] === undefined
      ? {}
      : { gpuBudgetsBytes: sizes('gpu-budget', values['gpu-budget']) }),
    ...(values.rounds === undefined ? {} : { rounds: count('rounds', values.rounds, 1, 1024) }),
    ...(values.budget === undefined ? {} : { budgetsBytes: sizes('budget', values.budget) }),
    ...(values['slow-disk'] === undefined
      ? {}
      : { diskBytesPerSec: count('slow-disk', values['slow-disk'], 1, 100_000) * 1e6 }),
    ...(Object.keys(caps).length === 0 ? {} : { caps }),
    ...(values.threads === undefined ? {} : { threads: count('threads', values.threads, 1, 64) }),
    ...(values.backend === undefined
      ? {}
      : { backend: oneOf('backend', values.backend, ['wasm', 'reference']) }),
    log,
    endsOnSignals: true,
  })
  const timer = values.timer ? await openTimerTab() : null
  const watch = watchPressure()
  try {
    const plan = await cluster.choose(values.model)
    log('the room is ready')
    const options = { ...sampling, from: askFrom }
    const answer = await measureAnswer(cluster, 'cluster-cli', values.prompt, options, timer)
    const pressure = watch.pressure()
    if (!values.json) return report(answer, pressure)
    const { text, stats, streams, devices: figures, lateness } = answer
    const { ttftMs, tpotMs, promptTokens, outputTokens } = stats
    const times = { ttftMs, tpotMs, promptTokens, outputTokens }
    console.log(JSON.stringify({ text, plan, ...times, devices: figures, streams, pressure, lateness }))
  } finally {
    watch.stop()
    await timer?.close()
    await cluster.close()
  }
}

function report({ text, stats, streams, devices, lateness }: AnswerFigures, pressure: number | null): void {
  const { ttftMs, tpotMs, promptTokens, outputTokens } = stats
  const megabytes = (bytes: number | null) => (bytes === null ? '' : Math.round(bytes / 1e6))
  console.log(`${text}\n`)
  console.table(
    devices.map((device, i) => ({
      name: device.head ? `${device.name} (head)` : device.name,
      layers: device.layers,
      'on GPU': device.gpuLayers,
      streamed: device.streamedLayers,
      'budget MB': megabytes(device.budgetBytes),
      'peak MB': megabytes(device.peakMemoryBytes),
      'browser MB': megabytes(device.realResidentBytes),
      'with page cache MB': megabytes(device.realPeakBytes),
      'fetched MB': megabytes(device.downloadedBytes),
      'streamed MB/token': megabytes(streams[i]!.streamedBytesPerToken),
      'waited ms/token': Math.round(streams[i]!.waitedMsPerToken),
      'read MB/s': megabytes(streams[i]!.readBytesPerSec),
    })),
  )
  console.log(
    `TTFT ${ttftMs.toFixed(1)} ms · TPOT ${tpotMs.toFixed(2)} ms · ${promptTokens} prompt tokens · ${outputTokens} output tokens`,
  )
  if (pressure !== null) console.log(`Memory pressure ${(100 * pressure).toFixed(1)} %`)
  if (lateness)
    console.log(
      `A timer of 50 ms in another tab was ${lateness.medianMs.toFixed(1)} ms late, ${lateness.worstMs.toFixed(1)} ms at worst`,
    )
}

main().catch((error: Error & { code?: string }) => {
  // Playwright says where in the page an error came from; people want to know what it is.
  console.error(error.message.replace(/^page\.evaluate: \w+: /, '').replace(/\n {4}at [^]*$/, ''))
  // What went wrong later is not for want of knowing the options.
  if (error instanceof RangeError || error.code?.startsWith('ERR_PARSE_ARGS')) console.error(`\n${usage}`)
  process.exitCode = 1
})
