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
import { createTripTimes, type TripMs } from './trip-times.ts'

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
   * Runs tokens through all layers, behind those that are cached, and guesses behind them. The sampler is asked once for
   * each token that follows, so that it says what it would say without guesses.
   *
   * What is under way is waited for before this ends, whatever the reason, so that nothing of it meets what comes next.
   *
   * @param guesses at what follows; only where {@link Voice.alone} allows them, behind one token
   * @returns the tokens that follow: guesses as far as they came true, and one more; null when aborted
   * @throws EngineError what {@link Ring.pass} throws; `cached` then holds what is known to be everywhere
   */
  next(tokens: readonly number[], guesses?: readonly number[]): Promise<number[] | null>
  /** Null while others are being answered too: rows of theirs share a trip already. */
  alone(): { mostGuesses: number; tripMs: TripMs } | null
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
  guesses: readonly number[]
  resolve(tokens: number[] | null): void
  reject(thrown: unknown): void
}

type Chunk = { tokens: readonly number[]; position: number; hidden: Float32Array }

/** A call on its way: what comes back behind the last layer, by and by, or why there will be no more. */
type Pass = { call: Call; rows: Promise<Float32Array>[]; thrown?: unknown }

type Outcome = { call: Call; hidden?: Float32Array; said: number[]; thrown?: unknown }

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
  const trips = createTripTimes()

  function start(): void {
    if (!ring.reads()) for (const call of waiting.splice(0)) void send([call])
    else if (waiting.length > 0 && waiting.length === voices && underWay === 0) void send(waiting.splice(0))
  }

  async function send(calls: Call[]): Promise<void> {
    underWay += calls.length
    const passes = calls.toSorted((a, b) => a.number - b.number).map((call): Pass => ({ call, rows: [] }))
    await sendAll(passes)
    const outcomes = await Promise.all(passes.map(outcomeOf))
    backAtMs = voices === 1 && calls[0]!.guesses.length === 0 ? performance.now() : null
    const back = outcomes.filter(({ hidden }) => hidden !== undefined)
    try {
      const rows = back.flatMap(rowsOf)
      if (rows.length > 0)
        await head.logits(
          rows.map(({ hidden }) => hidden),
          (logits, i) => hear(rows[i]!, logits),
        )
      for (const { call, said } of back) call.cached.push(...call.guesses.slice(0, said.length - 1))
    } catch (thrown) {
      for (const outcome of back) outcome.thrown = thrown
    }
    underWay -= calls.length
    for (const { call, thrown, hidden, said } of outcomes) {
      if (thrown !== undefined) call.reject(thrown)
      else call.resolve(hidden ? said : null)
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
    const { cached, tokens, guesses, signal } = pass.call
    const start = cached.length
    const all = [...tokens, ...guesses]
    for (let at = 0; at < all.length; at += ring.chunkRows) {
      if (signal.aborted || pass.thrown !== undefined) return
      const some = all.slice(at, at + ring.chunkRows)
      yield { tokens: some, position: start + at, hidden: await head.embed(some) }
    }
  }

  /** Resolves once the next rows may follow. */
  async function sendChunk(pass: Pass, { tokens, position, hidden }: Chunk, more: boolean): Promise<void> {
    const { call } = pass
    const { session, cached, guesses } = call
    const every = guesses.length > 0 ? { every: true as const } : {}
    const rows = { session, position, rows: tokens.length, hidden, ...every }
    const isAlone = voices === 1 && call.tokens.length === 1
    const startMs = performance.now()
    const { sent, passed } = ring.pass(more ? { ...rows, more } : rows)
    if (backAtMs !== null && voices === 1 && tokens.length === 1) onhead?.(performance.now() - backAtMs)
    backAtMs = null
    const row = passed.then((a) => {
      const tripMs = performance.now() - startMs
      if (isAlone && voices === 1) {
        trips.note(tokens.length, tripMs)
        if (guesses.length === 0) onway?.(tripMs - (a.computeMs ?? 0))
      }
      // Which guesses came true is not known yet.
      cached.push(...tokens.slice(0, tokens.length - guesses.length))
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
        next: (tokens, guesses = []) =>
          new Promise((resolve, reject) => {
            call = { ...options, number, tokens, guesses, resolve, reject }
            waiting.push(call)
            start()
          }),
        alone: () => (voices === 1 ? { mostGuesses: ring.mostGuesses, tripMs: trips.tripMs } : null),
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
  if (pass.thrown !== undefined) return { call, said: [], thrown: pass.thrown }
  const last = settled.at(-1)
  const isBack = last?.status === 'fulfilled' && !call.signal.aborted
  return isBack ? { call, said: [], hidden: last.value } : { call, said: [] }
}

/** A row (dim) behind the last layer, from which the token that follows is sampled. */
type Row = { outcome: Outcome; at: number; hidden: Float32Array }

function rowsOf(outcome: Outcome): Row[] {
  const { call, hidden } = outcome
  const rows = call.guesses.length + 1
  const dim = hidden!.length / rows
  return Array.from({ length: rows }, (_, at) => {
    return { outcome, at, hidden: hidden!.subarray(at * dim, (at + 1) * dim) }
  })
}

/** Rows come as long as the guesses before them came true. @returns false behind a wrong one, and behind the last */
function hear({ outcome: { call, said }, at }: Row, logits: Logits): boolean | void {
  const token = call.sample(logits)
  said.push(token)
  // A call with guesses goes alone: behind a wrong one no row is wanted.
  if (call.guesses.length > 0) return token === call.guesses[at]
}
