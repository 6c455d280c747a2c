/**
 * `npm run bench -- cpu [--json] [--out FILE]`
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright'
import { modelShapes, recipes, type Recipe } from '../../packages/engine/src/testing/synth/index.ts'
import { servePages } from '../browser/pages-server.ts'
import { chromiumArgs, chromiumPath } from '../chromium.ts'
import { verdicts, type Verdict } from './acceptance.ts'
import type { Contender } from './contender.ts'
import { compareEngines, type EngineRow } from './engines.ts'
import { installPeers, peerVersions } from './peers.ts'
import { engineTable, verdictTable } from './report.ts'
import { shapeName, withModel } from './synth-file.ts'

const usage = `Usage: npm run bench -- cpu [options]

  Decode and prefill of a synthetic ${shapeName} in Chromium, beside wllama in Chromium and llama.cpp native: one file,
  the same threads, in turns; medians.

  --types T,…    of ${Object.keys(recipes).join(', ')} (default Q4_0,Q4_K_M,Q8_0)
  --threads N,…  (default 1,2)
  --prompts P,…  prefills to time; the first is followed by decoding (default 57,512)
  --gen N        tokens to decode (default 24)
  --rounds N     an engine that needs over 15 s for one is asked once (default 3)
  --engines E,…  of hearth, wllama, llama.cpp (default all)
  --json         one object on stdout and nothing else
  --out FILE     the same object into a file
`

export type BenchReport = {
  machine: string
  chromium: string
  peers: typeof peerVersions
  engines: EngineRow[]
  verdicts: Verdict[]
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      types: text,
      threads: text,
      prompts: text,
      gen: text,
      rounds: text,
      engines: text,
      out: text,
      json: flag,
      help: flag,
    },
  })
  if (values.help || positionals.join() !== 'cpu') return void process.stderr.write(usage)
  const log = (line: string) => process.stderr.write(`${line}\n`)
  const list = (text: string | undefined, absent: string) => (text ?? absent).split(',')
  const { nativeMissing } = await installPeers(log)
  if (nativeMissing !== null) log(nativeMissing)
  const wanted = list(values.engines, 'hearth,wllama,llama.cpp') as Contender['name'][]
  const options = {
    engines: wanted.filter((name) => name !== 'llama.cpp' || nativeMissing === null),
    prompts: list(values.prompts, '57,512').map(Number),
    genTokens: Number(values.gen ?? 24),
    rounds: Number(values.rounds ?? 3),
  }

  const pages = await servePages()
  const browser = await chromium.launch({ executablePath: await chromiumPath(), args: chromiumArgs })
  const engines: EngineRow[] = []
  try {
    for (const type of list(values.types, 'Q4_0,Q4_K_M,Q8_0') as Recipe[]) {
      await withModel(type, modelShapes[shapeName].nLayers, async (model) => {
        for (const threads of list(values.threads, '1,2').map(Number)) {
          log(`${type}, ${threads} threads`)
          engines.push(...(await compareEngines(browser, pages.url, type, { ...model, threads }, options)))
        }
      })
    }
    const [processor] = cpus()
    const report: BenchReport = {
      machine: `${cpus().length} × ${processor!.model}, ${process.platform} ${process.arch}`,
      chromium: browser.version(),
      peers: peerVersions,
      engines,
      verdicts: verdicts(engines),
    }
    if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(report, null, 2)}\n`)
    process.stdout.write(
      values.json
        ? `${JSON.stringify(report)}\n`
        : `${report.machine}, Chromium ${report.chromium}\n\n${engineTable(engines)}\n\n${verdictTable(report.verdicts)}\n`,
    )
  } finally {
    await browser.close()
    await pages.close()
  }
}

await main()
