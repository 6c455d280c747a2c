/**
 * `npm run cluster -- --devices N --model PATH|URL|demo [--prompt T] [--max-tokens N] [--json]`
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { startCluster } from './run-cluster.ts'

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
  --rounds K           trips round the ring per token (default 1)
  --budget A,B,…       memory of each device, such as 512MB,1GB (default: what each offers)
  --slow-disk MB/s     makes every store as slow as that
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
      rounds: { type: 'string' },
      budget: { type: 'string' },
      'slow-disk': { type: 'string' },
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
    temperature: temperatureOf(values.temperature),
    seed: count('seed', values.seed, 0, 0xffff_ffff),
  }
  const cluster = await startCluster({
    devices,
    model: values.model,
    split: oneOf('split', values.split, ['even', 'fastest']),
    dtype: oneOf('dtype', values.dtype, ['f16', 'f32']),
    ...(values.layers === undefined
      ? {}
      : { layers: values.layers.split(',').map((n) => count('layers', n, 0, 1024)) }),
    ...(values.rounds === undefined ? {} : { rounds: count('rounds', values.rounds, 1, 1024) }),
    ...(values.budget === undefined ? {} : { budgetsBytes: values.budget.split(',').map(bytesOf) }),
    ...(values['slow-disk'] === undefined
      ? {}
      : { diskBytesPerSec: count('slow-disk', values['slow-disk'], 1, 100_000) * 1e6 }),
    ...(values.threads === undefined ? {} : { threads: count('threads', values.threads, 1, 64) }),
    ...(values.backend === undefined
      ? {}
      : { backend: oneOf('backend', values.backend, ['wasm', 'reference']) }),
    log,
    endsOnSignals: true,
  })
  try {
    const plan = await cluster.choose(values.model)
    log('the room is ready')
    const { text, stats } = await cluster.chat(
      askFrom,
      'cluster-cli',
      [{ role: 'user', content: values.prompt }],
      sampling,
    )
    const { ttftMs, tpotMs, promptTokens, outputTokens } = stats
    const figures = await cluster.figures()
    if (values.json) {
      console.log(
        JSON.stringify({ text, plan, ttftMs, tpotMs, promptTokens, outputTokens, devices: figures }),
      )
      return
    }
    console.log(`${text}\n`)
    console.table(figures)
    console.log(
      `TTFT ${ttftMs.toFixed(1)} ms · TPOT ${tpotMs.toFixed(2)} ms · ${promptTokens} prompt tokens · ${outputTokens} output tokens`,
    )
  } finally {
    await cluster.close()
  }
}

function count(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new RangeError(`--${name} takes a whole number from ${least} to ${most}, not "${text}"`)
}

function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(MB|GB)$/i.exec(text.trim())
  if (match) return Number(match[1]) * (match[2]!.toUpperCase() === 'GB' ? 1e9 : 1e6)
  throw new RangeError(`--budget takes sizes such as 512MB or 1.5GB, not "${text}"`)
}

function temperatureOf(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 10) return value
  throw new RangeError(`--temperature takes a number from 0 to 10, not "${text}"`)
}

function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === text)
  if (choice !== undefined) return choice
  throw new RangeError(`--${name} takes ${choices.join(' or ')}, not "${text}"`)
}

main().catch((error: Error & { code?: string }) => {
  // Playwright says where in the page an error came from; people want to know what it is.
  console.error(error.message.replace(/^page\.evaluate: \w+: /, '').replace(/\n {4}at [^]*$/, ''))
  // What went wrong later is not for want of knowing the options.
  if (error instanceof RangeError || error.code?.startsWith('ERR_PARSE_ARGS')) console.error(`\n${usage}`)
  process.exitCode = 1
})
