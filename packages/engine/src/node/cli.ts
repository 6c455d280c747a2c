/**
 * `npm run engine -- …`: the engine on the command line, for engineers and tests.
 *
 * @module
 */
import { runCommand } from './run-command.ts'

// A reader that has seen enough, such as `| head`, closes the pipe.
process.stdout.on('error', () => process.exit())

process.exitCode = await runCommand(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  note: (text) => process.stderr.write(text),
})
