/**
 * A link that can be timed: probes travel between the frames of the ring, are echoed by the other end's worker at once,
 * and neither of them ever reaches the ring.
 *
 * @module
 */
import { decodeProbe, toEcho } from '../wire.ts'
import { createInbox, type Link } from './link.ts'

/** An echo that has not come by then is late: no hop inside a house takes that long. */
const lateAfterMs = 1000

export interface ProbedLink extends Link {
  /** When a frame of the ring last came or went, as performance.now(); -Infinity before the first. */
  readonly usedAtMs: number
  /**
   * Sends what `encodeProbe` made.
   *
   * @returns the round trip in ms; null when the echo is late or the link closes first
   */
  probe(frame: Uint8Array): Promise<number | null>
}

/** Takes over delivery from `link`; probes are echoed from now on, whether anybody listens or not. */
export function createProbedLink(link: Link): ProbedLink {
  const inbox = createInbox()
  const awaited = new Map<number, (echoed: boolean) => void>()
  let usedAtMs = -Infinity
  let echoing = false

  /** One at a time: a neighbour that sends more than it reads gets no queue of ours to fill. */
  function echo(probe: Uint8Array): void {
    if (echoing) return
    echoing = true
    link
      .send(toEcho(probe))
      // A link that has closed says so by itself.
      .catch(() => {})
      .finally(() => (echoing = false))
  }

  link.listen({
    onframe(frame) {
      const probe = decodeProbe(frame)
      if (probe?.kind === 'probe') echo(frame)
      else if (probe?.kind === 'echo') awaited.get(probe.id)?.(true)
      else {
        usedAtMs = performance.now()
        inbox.deliver(frame)
      }
    },
    onclose() {
      for (const settle of awaited.values()) settle(false)
      inbox.close()
    },
  })

  return {
    get usedAtMs() {
      return usedAtMs
    },
    send(frame) {
      usedAtMs = performance.now()
      return link.send(frame)
    },
    listen: inbox.listen,
    close: link.close,
    async probe(frame) {
      const id = decodeProbe(frame)!.id
      const startMs = performance.now()
      let timer: ReturnType<typeof setTimeout> | undefined
      const echoed = await new Promise<boolean>((resolve) => {
        awaited.set(id, resolve)
        timer = setTimeout(resolve, lateAfterMs, false)
        link.send(frame).catch(() => resolve(false))
      })
      clearTimeout(timer)
      awaited.delete(id)
      return echoed ? performance.now() - startMs : null
    },
  }
}
