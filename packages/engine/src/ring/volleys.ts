/**
 * What the head sends round together. Where a device on the way reads weights for what it runs, one reading serves everybody
 * who is being answered: the next token of each and the prompts of newcomers go as one volley, and the next one waits until
 * all of it is back. Where nothing is read, several devices are busy at once if each conversation goes its own way.
 *
 * @module
 */
import type { Head } from '../model/layers.ts'
import type { Logits } from '../model/logits.ts'
import type { Ring } from './ring.ts'

export type VoiceOptions = {
  session: number
  /** What the session's KV cache holds on every device: kept up to date here. */
  cached: number[]
  sample(logits: Logits): number
  signal: AbortSignal
}

/** One conversation that is being answered. */
export interface Voice {
  /**
   * Runs tokens through all layers, behind those that are cached.
   *
   * What is under way is waited for before this ends, whatever the reason, so that nothing of it meets what comes next.
   *
   * @returns the token that follows; null when aborted
   * @throws EngineError what {@link Ring.pass} throws; `cached` then holds what is known to be everywhere
   */
  next(tokens: readonly number[]): Promise<number | null>
  /** Nobody waits for its next tokens any more. */
  leave(): void
}

export interface Volleys {
  join(options: VoiceOptions): Voice
}

/** Tokens of one voice that wait, or are under way. */
type Call = VoiceOptions & {
  /** The voice joined as this one; those who came last go last. */
  number: number
  tokens: readonly number[]
  resolve(token: number | null): void
  reject(thrown: unknown): void
}

type Chunk = { tokens: readonly number[]; position: number; hidden: Float32Array }

/** A call on its way: its rows after the last layer as they come back, or why there will be no more. */
type Pass = { call: Call; rows: Promise<Float32Array>[]; thrown?: unknown }

type Outcome = { call: Call; hidden?: Float32Array; token?: number; thrown?: unknown }

/**
 * @param onhead hears what the head took for a token of a voice that was alone, besides its layers: output, sampling, text,
 *   embedding row
 * @param onway hears how long such a token was in the ring and in no layer: on its way from device to device
 */
export function createVolleys(
  ring: Ring,
  head: Head,
  onhead?: (ms: number) => void,
  onway?: (ms: number) => void,
): Volleys {
  let joined = 0
  let voices = 0
  let waiting: Call[] = []
  let underWay = 0
  /** When the last token of a lone voice came out of the ring. */
  let backAtMs: number | null = null

  function start(): void {
    if (!ring.reads()) for (const call of waiting.splice(0)) void send([call])
    else if (waiting.length > 0 && waiting.length === voices && underWay === 0) void send(waiting.splice(0))
  }

  async function send(calls: Call[]): Promise<void> {
    underWay += calls.length
    const passes = calls.toSorted((a, b) => a.number - b.number).map((call): Pass => ({ call, rows: [] }))
    await sendAll(passes)
    const outcomes = await Promise.all(passes.map(outcomeOf))
    backAtMs = voices === 1 ? performance.now() : null
    const back = outcomes.filter(({ hidden }) => hidden !== undefined)
    try {
      const rows = back.map(({ hidden }) => hidden!)
      const sample = (logits: Logits, i: number) => (back[i]!.token = back[i]!.call.sample(logits))
      if (rows.length > 0) await head.logits(rows, sample)
    } catch (thrown) {
      for (const outcome of back) outcome.thrown = thrown
    }
    underWay -= calls.length
    for (const { call, thrown, token = null } of outcomes) {
      if (thrown === undefined) call.resolve(token)
      else call.reject(thrown)
    }
  }

  /** Rows are sent when the next are there, so that the last ones know that they are the last. */
  async function sendAll(passes: readonly Pass[]): Promise<void> {
    let sendLast = async (_more: boolean) => {}
    for (const pass of passes) {
      try {
        for await (const chunk of chunksOf(pass)) {
          await sendLast(true)
          sendLast = (more) => sendChunk(pass, chunk, more)
        }
      } catch (thrown) {
        pass.thrown = thrown
      }
    }
    await sendLast(false)
  }

  async function* chunksOf(pass: Pass): AsyncGenerator<Chunk> {
    const { cached, tokens, signal } = pass.call
    const start = cached.length
    for (let at = 0; at < tokens.length; at += ring.chunkRows) {
      if (signal.aborted || pass.thrown !== undefined) return
      const some = tokens.slice(at, at + ring.chunkRows)
      yield { tokens: some, position: start + at, hidden: await head.embed(some) }
    }
  }

  /** Resolves once the next rows may follow. */
  async function sendChunk(pass: Pass, { tokens, position, hidden }: Chunk, more: boolean): Promise<void> {
    const { call } = pass
    const { session, cached } = call
    const rows = { session, position, rows: tokens.length, hidden }
    const isAlone = voices === 1 && call.tokens.length === 1
    const startMs = performance.now()
    const { sent, passed } = ring.pass(more ? { ...rows, more } : rows)
    if (backAtMs !== null && voices === 1 && tokens.length === 1) onhead?.(performance.now() - backAtMs)
    backAtMs = null
    const row = passed.then((a) => {
      if (isAlone && voices === 1) onway?.(performance.now() - startMs - (a.computeMs ?? 0))
      cached.push(...tokens)
      return a.hidden
    })
    // What follows would be lost as well.
    row.catch((thrown) => (pass.thrown ??= thrown))
    pass.rows.push(row)
    await sent
  }

  return {
    join(options) {
      const number = ++joined
      let call: Call | null = null
      voices++
      const forget = () => {
        if (!call || !waiting.includes(call)) return
        waiting = waiting.filter((other) => other !== call)
        call.resolve(null)
      }
      options.signal.addEventListener('abort', forget)
      return {
        next: (tokens) =>
          new Promise((resolve, reject) => {
            call = { ...options, number, tokens, resolve, reject }
            waiting.push(call)
            start()
          }),
        leave() {
          options.signal.removeEventListener('abort', forget)
          voices--
          backAtMs = null
          start()
        },
      }
    },
  }
}

/** Once nothing of it is under way any more. */
async function outcomeOf(pass: Pass): Promise<Outcome> {
  const { call, rows } = pass
  const settled = await Promise.allSettled(rows)
  if (pass.thrown !== undefined) return { call, thrown: pass.thrown }
  const last = settled.at(-1)
  return last?.status === 'fulfilled' && !call.signal.aborted ? { call, hidden: last.value } : { call }
}
