/**
 * Finds the command that the arguments name, runs it, and turns what goes wrong into a sentence.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { UsageError, type Command, type Streams } from './arguments.ts'
import { bench } from './commands/bench.ts'
import { logits } from './commands/logits.ts'
import { run } from './commands/run.ts'
import { tokenize } from './commands/tokenize.ts'

const commands: Readonly<Record<string, Command>> = { run, logits, tokenize, bench }

const usage = `Usage: npm run engine -- COMMAND FILE [options]

${Object.values(commands)
  .map(({ usage }) => usage)
  .join('\n')}
`

/** @returns the exit code: 0, or 1 after a sentence (and, for bad arguments, the usage) on `streams.note` */
export async function runCommand(args: readonly string[], streams: Streams): Promise<number> {
  const [name = '', ...rest] = args
  try {
    if (name === '--help' || name === '-h') {
      streams.out(usage)
      return 0
    }
    if (!Object.hasOwn(commands, name)) {
      throw new UsageError(name === '' ? 'Name a command.' : `There is no command ${JSON.stringify(name)}.`)
    }
    await commands[name]!.execute(rest, streams)
    return 0
  } catch (thrown) {
    if (thrown instanceof UsageError) streams.note(`${thrown.message}\n\n${usage}`)
    else if (thrown instanceof EngineError) streams.note(`${thrown.message}\n`)
    else throw thrown
    return 1
  }
}
