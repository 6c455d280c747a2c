/**
 * Two ends of a link in one process: the plain one, for tests and for judging the others.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { checkFrameSize, createInbox, type Link } from './link.ts'

/** @param delay how long the next frame takes; order is kept whatever it says */
export function createMemoryLinks(delay: () => Promise<void> = () => Promise.resolve()): [Link, Link] {
  const inboxes = [createInbox(), createInbox()] as const
  let open = true
  const end = (mine: (typeof inboxes)[0], theirs: (typeof inboxes)[0]): Link => {
    let arrived = Promise.resolve()
    return {
      async send(frame) {
        checkFrameSize(frame)
        if (!open) throw new EngineError('link-lost', 'The link to the neighbour is closed.')
        const copy = frame.slice()
        arrived = Promise.all([arrived, delay()]).then(() => {
          if (open) theirs.deliver(copy)
        })
      },
      listen: mine.listen,
      close() {
        open = false
        for (const inbox of inboxes) queueMicrotask(inbox.close)
      },
    }
  }
  return [end(inboxes[0], inboxes[1]), end(inboxes[1], inboxes[0])]
}
