/**
 * The server as the other devices of the house see it: https at this machine's own addresses. Browsers grant storage,
 * encryption and threads to https and to localhost only (Secure Contexts §3.1), so plain http there leads to https.
 *
 * @module
 */
import { isIPv6 } from 'node:net'
import type { networkInterfaces } from 'node:os'
import type { Certificate } from './certificate.ts'

export type House = {
  certificate: Certificate
  /** Hosts under which other devices reach this machine now, the likeliest first. */
  hosts(): string[]
}

/** This machine's IPv4 addresses on the networks that it is part of; those of containers and tunnels last. */
export const lanAddresses = (interfaces: ReturnType<typeof networkInterfaces>): string[] =>
  Object.entries(interfaces)
    .toSorted(([a], [b]) => Number(isVirtual(a)) - Number(isVirtual(b)))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address)

/** By the names that Docker, libvirt, VirtualBox, VMware, WSL and VPNs give to what they add. */
const isVirtual = (name: string): boolean =>
  /^(docker|br-|veth|virbr|vboxnet|vmnet|vEthernet|bridge|utun|tun|tap|wg|tailscale|zt)/.test(name)

/** Hosts at which nobody but this machine reaches a server. */
export const isLoopback = (host: string): boolean => ['127.0.0.1', '::1', 'localhost'].includes(host)

/** Hosts that stand for all addresses of this machine. */
export const isEverywhere = (host: string): boolean => ['0.0.0.0', '::'].includes(host)

/** @throws TypeError when a host cannot stand in an address */
export const houseUrls = ({ hosts }: Pick<House, 'hosts'>, port: number): string[] =>
  hosts().map((host) => new URL(`https://${inUrl(host)}:${port}`).origin)

/**
 * Who opens the page at http://192.168.1.20:8787 is sent to https there; null for all else. A proxy, which speaks https
 * itself, asks for other hosts or says so.
 */
export function toHttps(request: Request, { hosts }: House): Response | null {
  const url = new URL(request.url)
  const isHouse = url.pathname === '/' && hosts().map(inUrl).includes(url.hostname)
  if (!isHouse || request.headers.has('x-forwarded-proto')) return null
  url.protocol = 'https:'
  return new Response(null, { status: 307, headers: { Location: url.href } })
}

const inUrl = (host: string): string => (isIPv6(host) ? `[${host}]` : host)
