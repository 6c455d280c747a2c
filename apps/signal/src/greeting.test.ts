import { expect, it } from 'vitest'
import { greeting } from './greeting.ts'

it('names localhost first, then the house, that browsers warn there, and a QR code', () => {
  const urls = ['https://192.168.1.20:8787', 'https://10.0.0.2:8787']
  const lines = greeting('http://localhost:8787', urls, true).split('\n')
  expect(lines[0]).toContain('http://localhost:8787')
  expect(lines[1]).toContain(urls[0])
  expect(lines[2]).toContain(urls[1])
  expect(lines[3]).toContain('warns')
  expect(lines.slice(5).join('')).toMatch(/[█▀▄ ]{200,}/)
  expect(greeting('http://localhost:8787', urls, false)).not.toContain('warns')
})

it('shows no QR code when only this machine can reach the server', () => {
  expect(greeting('http://localhost:8787', [], true)).not.toMatch(/█/)
})
