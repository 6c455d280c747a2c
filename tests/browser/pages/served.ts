/**
 * The worker's side of a test page: methods that a spec calls by name.
 *
 * @module
 */
export type Reply = { call: number } & ({ result: unknown } | { error: string })
type Call = { call: number; method: string; args: unknown[] }

// Arguments come from specs by structured clone; each method knows its own.
// oxlint-disable-next-line no-explicit-any
export function serve(methods: Record<string, (...args: any[]) => unknown>): void {
  addEventListener('message', async ({ data: { call, method, args } }: MessageEvent<Call>) => {
    let reply: Reply
    try {
      reply = { call, result: await methods[method]!(...args) }
    } catch (thrown) {
      reply = { call, error: thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown) }
    }
    postMessage(reply)
  })
}
