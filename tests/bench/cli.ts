/**
 * `npm run bench -- cpu|memory|halda [options] [--json] [--out FILE]`
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { BenchCommand } from './command.ts'
import { cpuCommand } from './cpu-command.ts'
import { haldaCommand } from './halda/command.ts'
import { memoryCommand } from './memory/command.ts'

const commands: Readonly<Record<string, BenchCommand>> = {
  cpu: cpuCommand,
  memory: memoryCommand,
  halda: haldaCommand,
}

async function main([name = '', ...args]: readonly string[]): Promise<void> {
  const command = commands[name]
  if (!command) throw new RangeError(`Say what to measure: ${Object.keys(commands).join(' or ')}.`)
  const texts = command.options.map((option) => [option, { type: 'string' }] as const)
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(texts),
      out: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return void process.stdout.write(command.usage)
  const texted = Object.entries(values).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  const { report, text } = await command.run(Object.fromEntries(texted), (line) =>
    process.stderr.write(`${line}\n`),
  )
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(report, null, 2)}\n`)
  process.stdout.write(`${values.json ? JSON.stringify(report) : text}\n`)
}

main(process.argv.slice(2)).catch((thrown: Error & { code?: string }) => {
  const isUsage = thrown instanceof RangeError || thrown.code?.startsWith('ERR_PARSE_ARGS')
  const usages = Object.values(commands).map(({ usage }) => usage)
  process.stderr.write(isUsage ? `${thrown.message}\n\n${usages.join('\n')}` : `${thrown.stack}\n`)
  process.exitCode = 1
})
