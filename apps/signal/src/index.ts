/**
 * `npm start`: reads the environment, starts the server, says where it is, stops when told to.
 *
 * @module
 */
import { networkInterfaces } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plan } from '@hearth/halda'
import { greeting, lanAddresses } from './greeting.ts'
import { practise } from './practice.ts'
import { startServer } from './server.ts'

const inRepository = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

const env = process.env
const host = env['HOST'] ?? '0.0.0.0'
const modelsDir = env['MODELS_DIR']

function portOf(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new Error(`PORT is "${text}"; it must be a number from 0 to 65535. Leave it out for 8787.`)
}

async function main(): Promise<void> {
  const server = await startServer({
    port: portOf(env['PORT'] ?? '8787'),
    host,
    webRoot: inRepository('apps/web/dist'),
    modelsDirs: [inRepository('public/models'), ...(modelsDir ? [resolve(modelsDir)] : [])],
  })
  const lan = host === '0.0.0.0' || host === '::' ? lanAddresses(networkInterfaces()) : []
  console.log(greeting(server.url, server.port, lan))

  const stop = () => void server.close().then(() => process.exit(0))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  practise(plan)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
