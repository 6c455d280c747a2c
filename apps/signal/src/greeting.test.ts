import { expect, it } from 'vitest'
import { greeting, lanAddresses } from './greeting.ts'

const address = (address: string, family: 'IPv4' | 'IPv6', internal: boolean) => ({
  address,
  family,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
  scopeid: 0,
})

it('finds the addresses that other devices can reach', () => {
  const interfaces = {
    lo: [address('127.0.0.1', 'IPv4', true)],
    wlan0: [address('192.168.1.20', 'IPv4', false), address('fe80::1', 'IPv6', false)],
    gone: undefined,
  }
  expect(lanAddresses(interfaces as Parameters<typeof lanAddresses>[0])).toEqual(['192.168.1.20'])
})

it('names localhost first, then the house, what phones lack there, and a QR code', () => {
  const lines = greeting('http://localhost:8787', 8787, ['192.168.1.20', '10.0.0.2']).split('\n')
  expect(lines[0]).toContain('http://localhost:8787')
  expect(lines[1]).toContain('http://192.168.1.20:8787')
  expect(lines[2]).toContain('http://10.0.0.2:8787')
  expect(lines[3]).toContain('https')
  expect(lines.slice(5).join('')).toMatch(/[█▀▄ ]{200,}/)
})

it('shows no QR code when only this machine can reach the server', () => {
  expect(greeting('http://localhost:8787', 8787, [])).not.toMatch(/█/)
})
