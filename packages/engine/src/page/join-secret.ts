/**
 * The secret of a join link and what is derived from it. The secret stays in the URL fragment, which browsers do not
 * send; the server gets a room id made from it, and signalling sealed with a key made from it. So the server can
 * introduce devices, but neither join them nor stand between them.
 *
 * Programs that ask the room over HTTP have a key made from it, too. The server knows its hash, and the key itself from the
 * first request on; neither leads to the secret, or to what devices say to each other.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import type { RoomId } from '../protocol.ts'

const secretBytes = 20 // 160 bits
const fragmentPattern = /^#join=([A-Za-z0-9_-]{22,64})$/

export type JoinSecret = string & { readonly __brand: 'JoinSecret' }

/** 160 random bits, as base64url. */
export function createJoinSecret(): JoinSecret {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(secretBytes))) as JoinSecret
}

export function toFragment(secret: JoinSecret): string {
  return `#join=${secret}`
}

/** The secret of an address, 'none' when it has no fragment, 'malformed' when it is no join link of ours. */
export function secretOf(href: string): JoinSecret | 'none' | 'malformed' {
  const { hash } = new URL(href)
  if (hash === '' || hash === '#') return 'none'
  return (fragmentPattern.exec(hash)?.[1] as JoinSecret | undefined) ?? 'malformed'
}

export type RoomKeys = {
  room: RoomId
  seal: CryptoKey
  /** For programs, as OpenAI's clients send theirs. */
  apiKey: string
  /** SHA-256, base64url. */
  apiKeyHash: string
}

/** HKDF-SHA-256 (RFC 5869), one output for each purpose. */
export async function deriveRoomKeys(secret: JoinSecret): Promise<RoomKeys> {
  const encoder = new TextEncoder()
  const base = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, [
    'deriveBits',
    'deriveKey',
  ])
  const derivation = (info: string) => ({
    name: 'HKDF',
    hash: 'SHA-256',
    salt: encoder.encode('hearth/1'),
    info: encoder.encode(info),
  })
  const room = await crypto.subtle.deriveBits(derivation('room id'), base, 192)
  const seal = await crypto.subtle.deriveKey(
    derivation('signalling'),
    base,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  )
  const key = await crypto.subtle.deriveBits(derivation('api key'), base, 192)
  const apiKey = `hearth-${toBase64Url(new Uint8Array(key))}`
  const apiKeyHash = await crypto.subtle.digest('SHA-256', encoder.encode(apiKey))
  return {
    room: toBase64Url(new Uint8Array(room)) as RoomId,
    seal,
    apiKey,
    apiKeyHash: toBase64Url(new Uint8Array(apiKeyHash)),
  }
}

const ivBytes = 12

/** AES-GCM over JSON; sender and receiver are authenticated, so that a message cannot be sent on or sent back. */
export async function seal(keys: RoomKeys, from: DeviceId, to: DeviceId, value: unknown): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(ivBytes))
  const text = new TextEncoder().encode(JSON.stringify(value))
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: addressed(from, to) },
    keys.seal,
    text,
  )
  const message = new Uint8Array(ivBytes + sealed.byteLength)
  message.set(iv)
  message.set(new Uint8Array(sealed), ivBytes)
  return toBase64Url(message)
}

/** What was sealed, or null when it was not sealed by a device of this room for this one. */
export async function unseal(keys: RoomKeys, from: DeviceId, to: DeviceId, sealed: string): Promise<unknown> {
  try {
    const message = fromBase64Url(sealed)
    const parameters = {
      name: 'AES-GCM',
      iv: message.subarray(0, ivBytes),
      additionalData: addressed(from, to),
    }
    const text = await crypto.subtle.decrypt(parameters, keys.seal, message.subarray(ivBytes))
    return JSON.parse(new TextDecoder().decode(text))
  } catch {
    return null
  }
}

const addressed = (from: DeviceId, to: DeviceId) => new TextEncoder().encode(`${from}>${to}`)

function toBase64Url(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
}
