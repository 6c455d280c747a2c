/**
 * `npm run plan -- profiles.json [--solver NAME] [--explain]`
 *
 * @module
 */
import { planCommand } from './plan-command.ts'

const result = await planCommand(process.argv.slice(2))
if (result.ok) {
  console.log(result.output)
} else {
  console.error(result.message)
  process.exitCode = 1
}
