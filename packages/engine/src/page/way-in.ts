/**
 * Where other devices find the server. The page that opens the room is mostly at localhost, which leads nobody else here.
 *
 * @module
 */
import * as v from 'valibot'
import type { JoinReach } from './cluster.ts'

const House = v.object({ urls: v.array(v.pipe(v.string(), v.url())), isOwnCertificate: v.boolean() })

/** For a server that is on this machine. */
const patienceMs = 3000

/**
 * The origin that join links name: the page's own, or what the server says where that is localhost.
 *
 * @throws nothing: a page that the server has stopped answering keeps its own
 */
export async function findWayIn(origin: string): Promise<{ origin: string; reach: JoinReach }> {
  const own = { origin, reach: isLoopback(origin) ? 'this-machine' : 'everybody' } as const
  try {
    const response = await fetch(`${origin}/house`, { signal: AbortSignal.timeout(patienceMs) })
    const { urls, isOwnCertificate } = v.parse(House, await response.json())
    const url = urls.includes(origin) || !isLoopback(origin) ? origin : urls[0]
    if (url === undefined) return own
    const warns = isOwnCertificate && urls.includes(url)
    return { origin: url, reach: warns ? 'everybody-warned' : 'everybody' }
  } catch {
    return own
  }
}

const isLoopback = (origin: string): boolean => /^(localhost|127\.|\[::1\])/.test(new URL(origin).hostname)
