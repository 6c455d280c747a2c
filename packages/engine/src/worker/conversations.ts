/**
 * Conversations whose KV cache is kept on every device of the ring, so that the next turn runs only what is new.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'

/** The one unused for longest goes first. */
const mostKept = 8

export type Session = {
  /** Its number on the wire. */
  id: number
  from: DeviceId
  /** Tokens that its KV cache holds. */
  cached: number[]
}

export interface Conversations {
  /** The session of a conversation, new if there was none. */
  open(key: string, from: DeviceId): Session
  drop(key: string): void
  /** Drops all that nobody is answered in. @returns whether there were any */
  forgetIdle(): boolean
  /** Drops those of others, unless somebody is answered in them. */
  keepOnly(devices: readonly DeviceId[]): void
}

/**
 * @param release drops a session's KV cache on every device
 * @param isBusy somebody is being answered in the conversation
 */
export function createConversations(
  release: (session: number) => void,
  isBusy: (key: string) => boolean,
): Conversations {
  /** In order of last use. */
  const sessions = new Map<string, Session>()
  let lastId = 0

  /** Not used a moment ago either, so that a late frame meets no newcomer. */
  function freeId(): number {
    const used = new Set([...sessions.values()].map(({ id }) => id))
    do lastId = (lastId + 1) & 0xffff
    while (used.has(lastId))
    return lastId
  }

  const idle = (): string[] => [...sessions.keys()].filter((key) => !isBusy(key))

  function drop(key: string): void {
    const session = sessions.get(key)
    sessions.delete(key)
    if (session) release(session.id)
  }

  return {
    open(key, from) {
      const session = sessions.get(key) ?? { id: freeId(), from, cached: [] }
      sessions.delete(key)
      sessions.set(key, session)
      for (const oldest of idle()) {
        if (sessions.size <= mostKept) break
        drop(oldest)
      }
      return session
    },
    drop,
    forgetIdle() {
      const keys = idle()
      for (const key of keys) drop(key)
      return keys.length > 0
    },
    keepOnly(devices) {
      for (const key of idle()) if (!devices.includes(sessions.get(key)!.from)) drop(key)
    },
  }
}
