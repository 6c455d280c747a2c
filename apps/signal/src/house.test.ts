import { expect, it } from 'vitest'
import { houseUrls, lanAddresses, toHttps, type House } from './house.ts'

const address = (address: string, family: 'IPv4' | 'IPv6', internal: boolean) => ({
  address,
  family,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
  scopeid: 0,
})

it('finds the addresses that other devices can reach, and those of containers last', () => {
  const interfaces = {
    docker0: [address('172.17.0.1', 'IPv4', false)],
    lo: [address('127.0.0.1', 'IPv4', true)],
    wlan0: [address('192.168.1.20', 'IPv4', false), address('fe80::1', 'IPv6', false)],
    gone: undefined,
  }
  expect(lanAddresses(interfaces as Parameters<typeof lanAddresses>[0])).toEqual([
    '192.168.1.20',
    '172.17.0.1',
  ])
})

const house: House = {
  certificate: { key: '', cert: '', isOwn: true },
  hosts: () => ['192.168.1.20', 'fd00::2'],
}

it('is reached over https, at each of its addresses', () => {
  expect(houseUrls(house, 8787)).toEqual(['https://192.168.1.20:8787', 'https://[fd00::2]:8787'])
})

it('sends who came to it over http to https, and nobody who came to this machine or through a proxy', () => {
  const sentTo = (url: string, headers: Record<string, string> = {}) =>
    toHttps(new Request(url, { headers }), house)?.headers.get('location')
  expect(sentTo('http://192.168.1.20:8787/?name=bob')).toBe('https://192.168.1.20:8787/?name=bob')
  expect(sentTo('http://[fd00::2]:8787/')).toBe('https://[fd00::2]:8787/')
  expect(sentTo('http://localhost:8787/')).toBeUndefined()
  expect(sentTo('http://hearth.example/')).toBeUndefined()
  expect(sentTo('http://192.168.1.20:8787/', { 'X-Forwarded-Proto': 'https' })).toBeUndefined()
  expect(sentTo('http://192.168.1.20:8787/models/demo.gguf')).toBeUndefined()
})
