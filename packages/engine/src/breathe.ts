/**
 * Lets waiting messages in: a worker that computes without pause hears neither 'abort' nor anything else.
 *
 * A message to oneself is a task of its own and takes microseconds; setTimeout would take 4 ms once nested (HTML
 * standard, timer initialisation steps).
 *
 * @module
 */
const waiting: (() => void)[] = []
let port: MessagePort | null = null

/** Resolves in a later task; in order for several callers. */
export function breathe(): Promise<void> {
  if (port === null) {
    const channel = new MessageChannel()
    channel.port2.onmessage = () => waiting.shift()?.()
    // Under Node an open port would keep the process alive.
    ;(channel.port2 as MessagePort & { unref?: () => void }).unref?.()
    port = channel.port1
  }
  return new Promise((resolve) => {
    waiting.push(resolve)
    port!.postMessage(0)
  })
}
