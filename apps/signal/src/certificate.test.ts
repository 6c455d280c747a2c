import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { givenCertificate, houseCertificate } from './certificate.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-certificate-'))
})
afterAll(() => rm(folder, { recursive: true }))
afterEach(() => void vi.useRealTimers())

const silent = (sentence: string) => expect.unreachable(sentence)

it('names its hosts, and is readable by nobody else', async () => {
  const file = join(folder, 'new', 'certificate.pem')
  const { cert, key, isOwn } = await houseCertificate(file, ['192.168.1.20', 'hearth.local'], silent)
  const certificate = new X509Certificate(cert)
  expect(certificate.checkIP('192.168.1.20')).toBe('192.168.1.20')
  expect(certificate.checkHost('hearth.local')).toBe('hearth.local')
  expect(certificate.checkIP('192.168.1.21')).toBeUndefined()
  expect([key, isOwn]).toEqual([await readFile(file, 'utf8'), true])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

it('stays the same from start to start, until it runs out or the house has another address', async () => {
  const file = join(folder, 'kept.pem')
  const first = await houseCertificate(file, ['192.168.1.20', '10.0.0.2'], silent)
  expect(await houseCertificate(file, ['192.168.1.20'], silent)).toEqual(first)
  const moved = await houseCertificate(file, ['192.168.1.99'], silent)
  expect(moved).not.toEqual(first)
  expect(await houseCertificate(file, ['192.168.1.99'], silent)).toEqual(moved)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 800 * 86_400_000 })
  expect(await houseCertificate(file, ['192.168.1.99'], silent)).not.toEqual(moved)
})

it('replaces a kept file that is none', async () => {
  const file = join(folder, 'cut.pem')
  const { cert } = await houseCertificate(file, ['10.0.0.2'], silent)
  await writeFile(file, cert.slice(0, cert.length / 2))
  const again = await houseCertificate(file, ['10.0.0.2'], silent)
  expect(new X509Certificate(again.cert).checkIP('10.0.0.2')).toBe('10.0.0.2')
})

it('works where it cannot be kept, and says so', async () => {
  const said: string[] = []
  const taken = join(folder, 'taken')
  await writeFile(taken, '')
  const { cert } = await houseCertificate(join(taken, 'certificate.pem'), ['10.0.0.2'], (s) => said.push(s))
  expect(new X509Certificate(cert).checkIP('10.0.0.2')).toBe('10.0.0.2')
  expect(said.join()).toMatch(/cannot be kept.*warn once more/)
})

it('may be given, and a pair that is none is refused with a sentence', async () => {
  const [mine, other] = [join(folder, 'mine.pem'), join(folder, 'other.pem')]
  const own = await houseCertificate(mine, ['10.0.0.2'], silent)
  await houseCertificate(other, ['10.0.0.2'], silent)
  expect(await givenCertificate(mine, mine)).toEqual({ ...own, isOwn: false })
  await expect(givenCertificate(mine, other)).rejects.toThrow(/are no certificate with its key/)
  await expect(givenCertificate(join(folder, 'nowhere'), mine)).rejects.toThrow(/ENOENT.*Leave TLS_CERT/)
})
