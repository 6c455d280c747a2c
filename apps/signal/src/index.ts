/**
 * `npm start`: reads the environment, starts the server, says where it is, stops when told to.
 *
 * @module
 */
import { homedir, networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plan } from '@hearth/halda'
import { givenCertificate, houseCertificate } from './certificate.ts'
import { greeting } from './greeting.ts'
import { isEverywhere, isLoopback, lanAddresses, type House } from './house.ts'
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

/** Null when this machine alone may reach the server, or is part of no network. */
async function houseOf(): Promise<House | null> {
  const address = env['ADDRESS']
  if (address !== undefined && !URL.canParse(`https://${address}/`)) {
    throw new Error(
      `ADDRESS is "${address}"; it must be a name or an IP address, such as hearth.example.org.`,
    )
  }
  const hosts = (): string[] => {
    if (address !== undefined) return [address]
    if (isEverywhere(host)) return lanAddresses(networkInterfaces())
    return isLoopback(host) ? [] : [host]
  }
  if (hosts().length === 0) return null
  const { TLS_CERT: cert, TLS_KEY: key } = env
  if (cert !== undefined && key !== undefined)
    return { hosts, certificate: await givenCertificate(cert, key) }
  if (cert !== undefined || key !== undefined) {
    throw new Error('TLS_CERT and TLS_KEY name two files that belong together, and only one of them is set.')
  }
  const kept = join(homedir(), '.hearth', 'certificate.pem')
  return { hosts, certificate: await houseCertificate(kept, hosts(), console.log) }
}

async function main(): Promise<void> {
  const house = await houseOf()
  const server = await startServer({
    port: portOf(env['PORT'] ?? '8787'),
    host,
    webRoot: inRepository('apps/web/dist'),
    modelsDirs: [inRepository('public/models'), ...(modelsDir ? [resolve(modelsDir)] : [])],
    ...(house && { house }),
  })
  console.log(greeting(server.url, server.houseUrls, house?.certificate.isOwn ?? false))

  const stop = () => void server.close().then(() => process.exit(0))
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  practise(plan)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
