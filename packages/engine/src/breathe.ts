/**
 * Lets waiting messages in: a worker that computes without pause hears neither 'abort' nor anything else.
 *
 * A message to oneself is a task of its own and takes microseconds; setTimeout would take 4 ms once nested (HTML
 * standard, timer initialisation steps).
 *
 * @module
 */
const waiting: (() => void)[] = []

/** Under Node an open port keeps the process alive: this one only while somebody waits. */
type HoldingPort = MessagePort & { ref?(): void; unref?(): void }

let ports: { here: MessagePort; there: HoldingPort } | null = null

/** Resolves in a later task; in order for several callers. */
export function breathe(): Promise<void> {
  const { here, there } = (ports ??= open())
  return new Promise((resolve) => {
    there.ref?.()
    waiting.push(resolve)
    here.postMessage(0)
  })
}

function open(): { here: MessagePort; there: HoldingPort } {
  const { port1: here, port2 } = new MessageChannel()
  const there: HoldingPort = port2
  there.addEventListener('message', () => {
    waiting.shift()?.()
    if (waiting.length === 0) there.unref?.()
  })
  there.start()
  there.unref?.()
  return { here, there }
}
