import type { DeviceId } from '@hearth/halda'
import { describe, expect, it } from 'vitest'
import {
  createJoinSecret,
  deriveRoomKeys,
  seal,
  secretOf,
  toFragment,
  unseal,
  type JoinSecret,
} from './join-secret.ts'

const alice = 'alice-device' as DeviceId
const bob = 'bob-device' as DeviceId
const mallory = 'mallory-device' as DeviceId
const offer = { type: 'offer', sdp: 'v=0 …' }

describe('the secret of a join link', () => {
  it('has 160 bits, never twice, and survives the address bar', () => {
    const secrets = Array.from({ length: 100 }, createJoinSecret)
    expect(new Set(secrets).size).toBe(100)
    for (const secret of secrets) {
      expect(secret).toMatch(/^[A-Za-z0-9_-]{27}$/)
      expect(secretOf(`https://hearth.test/?name=bob${toFragment(secret)}`)).toBe(secret)
    }
  })

  it('is none where there is no fragment, and malformed where it was cut or changed', () => {
    expect(secretOf('https://hearth.test/')).toBe('none')
    expect(secretOf('https://hearth.test/#')).toBe('none')
    for (const fragment of [
      '#join=',
      '#join=cut',
      '#join=AAAAAAAAAAAAAAAAAAAAAAAAAAA=',
      '#else',
      '#join=a b',
    ])
      expect(secretOf(`https://hearth.test/${fragment}`)).toBe('malformed')
  })

  it('leads all its holders to one room, and the room does not lead back', async () => {
    const secret = createJoinSecret()
    const [mine, yours] = await Promise.all([deriveRoomKeys(secret), deriveRoomKeys(secret)])
    expect(mine.room).toBe(yours.room)
    expect(mine.room).toMatch(/^[A-Za-z0-9_-]{32}$/)
    const other = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}` as JoinSecret
    expect((await deriveRoomKeys(other)).room).not.toBe(mine.room)
    expect(mine.room).not.toContain(secret.slice(0, 8))
  })
})

describe('the key for programs', () => {
  it('is the same for all who hold the secret, is known by its hash, and tells neither secret nor room', async () => {
    const secret = createJoinSecret()
    const [mine, yours, other] = await Promise.all(
      [secret, secret, createJoinSecret()].map((each) => deriveRoomKeys(each)),
    )
    expect(mine!.apiKey).toBe(yours!.apiKey)
    expect(mine!.apiKey).toMatch(/^hearth-[A-Za-z0-9_-]{32}$/)
    expect(mine!.apiKey).not.toBe(other!.apiKey)
    expect(mine!.apiKey).not.toContain(mine!.room)
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(mine!.apiKey))
    expect(mine!.apiKeyHash).toBe(Buffer.from(digest).toString('base64url'))
  })
})

describe('sealed signals', () => {
  it('are read by the device they are for, and differ each time', async () => {
    const keys = await deriveRoomKeys(createJoinSecret())
    const [once, again] = [await seal(keys, alice, bob, offer), await seal(keys, alice, bob, offer)]
    expect(once).not.toBe(again)
    expect(await unseal(keys, alice, bob, once)).toEqual(offer)
    expect(await unseal(keys, alice, bob, again)).toEqual(offer)
  })

  it('are nothing to another room, to another device, from another device, or sent back', async () => {
    const keys = await deriveRoomKeys(createJoinSecret())
    const sealed = await seal(keys, alice, bob, offer)
    expect(await unseal(await deriveRoomKeys(createJoinSecret()), alice, bob, sealed)).toBeNull()
    expect(await unseal(keys, alice, mallory, sealed)).toBeNull()
    expect(await unseal(keys, mallory, bob, sealed)).toBeNull()
    expect(await unseal(keys, bob, alice, sealed)).toBeNull()
  })

  it('are nothing when a single character changed, and when they never were any', async () => {
    const keys = await deriveRoomKeys(createJoinSecret())
    const sealed = await seal(keys, alice, bob, offer)
    for (let at = 0; at < sealed.length - 1; at++) {
      const changed = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`
      expect(await unseal(keys, alice, bob, changed), `character ${at}`).toBeNull()
    }
    for (const text of ['', 'A', 'not base64!', '💥', 'AAAA', 'A'.repeat(60_000)])
      expect(await unseal(keys, alice, bob, text)).toBeNull()
  })
})
