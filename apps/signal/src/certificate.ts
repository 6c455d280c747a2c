/**
 * A certificate for addresses that no authority vouches for. This machine vouches for itself: each browser warns once and
 * then remembers the certificate that it was shown, so one is kept from start to start.
 *
 * @module
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { dirname } from 'node:path'
import { createSecureContext } from 'node:tls'
import { generate } from 'selfsigned'

export type Certificate = {
  /** PEM. */
  key: string
  /** PEM; with those of authorities behind it, where there are any. */
  cert: string
  /** Whether nobody but this machine vouches for it, so that browsers warn. */
  isOwn: boolean
}

const dayMs = 86_400_000
/** Safari takes none that are valid for more than 825 days (Apple, "Requirements for trusted certificates in iOS 13"). */
const validDays = 820
const renewDays = 30

/**
 * The one kept in `file`, if it holds for a month and names all `hosts`; else a new one, kept there from now on.
 *
 * @param log told in a sentence when it cannot be kept
 */
export async function houseCertificate(
  file: string,
  hosts: readonly string[],
  log: (sentence: string) => void,
): Promise<Certificate> {
  const kept = await readFile(file, 'utf8').catch(() => '')
  if (isGood(kept, hosts)) return { key: kept, cert: kept, isOwn: true }
  const pem = await makeCertificate(hosts)
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, pem, { mode: 0o600 })
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    log(
      `The certificate of this house cannot be kept (${why}): after the next start, browsers warn once more.`,
    )
  }
  return { key: pem, cert: pem, isOwn: true }
}

/** One that an authority vouches for. @throws Error with a sentence when the two files are not such a pair */
export async function givenCertificate(certFile: string, keyFile: string): Promise<Certificate> {
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
    createSecureContext({ cert, key })
    return { cert, key, isOwn: false }
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new Error(
      `${certFile} and ${keyFile} are no certificate with its key in PEM (${why}). Leave TLS_CERT and TLS_KEY out to let Hearth make one.`,
      { cause: thrown },
    )
  }
}

function isGood(pem: string, hosts: readonly string[]): boolean {
  try {
    const certificate = new X509Certificate(pem)
    return (
      certificate.checkPrivateKey(createPrivateKey(pem)) &&
      Date.parse(certificate.validTo) > Date.now() + renewDays * dayMs &&
      hosts.every((host) => (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)))
    )
  } catch {
    return false
  }
}

/** @returns key and certificate in one PEM */
async function makeCertificate(hosts: readonly string[]): Promise<string> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'Hearth in this house' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + validDays * dayMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: hosts.map((host) => (isIP(host) ? { type: 7, ip: host } : { type: 2, value: host })),
      },
    ],
  })
  return `${key.trim()}\n${cert.trim()}\n`
}
