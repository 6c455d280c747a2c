/**
 * A model behind a URL, read by HTTP range requests (RFC 9110 §14).
 *
 * A server that promises a digest of each answer (RFC 9530 Content-Digest; ours does) is asked for pieces, and a piece
 * is handed on only once it matches. Others are asked for all that is wanted at once. If-Range is not sent: it would
 * cost a CORS preflight that most file servers refuse, and comparing each answer's version catches the same.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import { abortable, aborted } from './abort.ts'
import { contentDigest, contentRange, revisionOf, sha256, type ModelVersion } from './range-response.ts'
import { changed, noRanges, refused, truncated, unreachable } from './source-errors.ts'
import type { RangeSource } from './source.ts'

/** Most bytes asked for at once while answers carry digests: a damaged piece costs no more than this again. */
const digestedBytes = 4 * 1024 * 1024

export type UrlSourceOptions = {
  fetch?: typeof globalThis.fetch
  /** The version that the room agreed on: then `describe` asks nobody, and any other version is 'model-changed'. */
  known?: ModelVersion
  /** Waits before each new try after a broken answer; when they are used up without a byte gained, the error is thrown. */
  retryDelaysMs?: readonly number[]
  /** A server silent for this long counts as broken. */
  stallMs?: number
}

export function createUrlSource(url: string, options: UrlSourceOptions = {}): RangeSource {
  const { fetch = globalThis.fetch, retryDelaysMs = [250, 1000, 4000], stallMs = 20_000 } = options
  let version = options.known && Promise.resolve(options.known)
  /** Whether answers carry digests; unknown before the first. */
  let digested: boolean | undefined

  /** One range request. EngineErrors are final; anything else thrown is worth another try. */
  async function request(start: number, end: number, signal: AbortSignal): Promise<Response> {
    const range = `bytes=${start}-${end - 1}`
    const response = await fetch(url, { headers: { Range: range }, mode: 'cors', cache: 'no-store', signal })
    if (response.status === 206) return response
    // A server that ignores ranges sends the whole file now; without this it would be downloaded to the end.
    await response.body?.cancel()
    if (response.status === 416) return response
    if (response.ok) throw noRanges(url, 'it sends the whole file instead')
    if (response.status >= 500 || response.status === 429) throw new Error(`HTTP status ${response.status}`)
    throw refused(url, response.status)
  }

  async function describeOnce(signal: AbortSignal): Promise<ModelVersion> {
    const response = await request(0, 1, signal)
    await response.body?.cancel()
    const range = contentRange(response.headers)
    const sizeBytes = range ? range.sizeBytes : await lengthByHead(signal)
    if (sizeBytes === null) throw noRanges(url, 'it does not say how long the file is')
    return { sizeBytes, revision: revisionOf(response.headers) ?? `${sizeBytes} bytes` }
  }

  /** For servers of another origin that do not expose Content-Range; Content-Length is visible to every page. */
  async function lengthByHead(signal: AbortSignal): Promise<number | null> {
    const response = await fetch(url, { method: 'HEAD', mode: 'cors', cache: 'no-store', signal })
    const length = response.ok ? response.headers.get('content-length') : null
    return length === null ? null : Number(length)
  }

  async function describeWithRetries(): Promise<ModelVersion> {
    for (let tries = 0; ; tries++) {
      const guard = createStallGuard(stallMs)
      try {
        return await guard.watch(describeOnce(guard.signal))
      } catch (thrown) {
        if (thrown instanceof EngineError) throw thrown
        const delayMs = retryDelaysMs[tries]
        if (delayMs === undefined) throw unreachable(url, thrown)
        await pause(delayMs)
      }
    }
  }

  function describe(): Promise<ModelVersion> {
    version ??= describeWithRetries().catch((error: unknown) => {
      version = undefined
      throw error
    })
    return version
  }

  /** Yields what one answer brings of [start, end), which may be less than all of it. */
  async function* answer(
    start: number,
    end: number,
    expected: ModelVersion,
    buffer: () => Uint8Array<ArrayBuffer>,
    signal?: AbortSignal,
  ) {
    const guard = createStallGuard(stallMs, signal)
    try {
      const response = await guard.watch(request(start, end, guard.signal))
      const range = contentRange(response.headers)
      const revision = revisionOf(response.headers)
      const sizeBytes = range?.sizeBytes ?? expected.sizeBytes
      if (sizeBytes !== expected.sizeBytes || (revision !== null && revision !== expected.revision)) {
        throw changed(url, expected, { sizeBytes, revision: revision ?? expected.revision })
      }
      if (response.status !== 206 || !response.body || (range && range.start !== start)) {
        throw noRanges(url, `bytes ${start} to ${end} were asked for and not given`)
      }
      const digest = contentDigest(response.headers)
      digested = digest !== null
      const pieces = piecesOf(response.body, end - start, guard.watch)
      if (digest === null) return yield* pieces
      const content = await joined(pieces, buffer())
      if ((await sha256(content)) !== digest) {
        throw new Error(`bytes ${start} to ${end} arrived damaged: they do not match their Content-Digest`)
      }
      yield content
    } finally {
      guard.stop()
    }
  }

  async function* stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const expected = await abortable(describe(), signal)
    if (end > expected.sizeBytes) throw truncated(url, end, expected.sizeBytes)
    let failures = 0
    // One for all pieces that are checked: a new one each would be garbage faster than it is collected.
    let whole: Uint8Array<ArrayBuffer> | null = null
    const buffer = () => (whole ??= new Uint8Array(Math.min(digestedBytes, end - start)))
    for (let at = start; at < end;) {
      const until = digested === false ? end : Math.min(end, at + digestedBytes)
      let broken: unknown = null
      try {
        for await (const piece of answer(at, until, expected, buffer, signal)) {
          at += piece.length
          failures = 0
          yield piece
        }
      } catch (thrown) {
        if (signal?.aborted) throw aborted()
        if (thrown instanceof EngineError) throw thrown
        broken = thrown
      }
      if (at === until) continue
      const delayMs = retryDelaysMs[failures++]
      if (delayMs !== undefined) await abortable(pause(delayMs), signal)
      else throw broken === null ? truncated(url, end, at) : unreachable(url, broken, at)
    }
  }

  return { url, describe, stream }
}

/** At most `length` bytes of a body, as they arrive. Cancels what is left when the reader stops early. */
async function* piecesOf(
  body: ReadableStream<Uint8Array>,
  length: number,
  watch: <T>(work: Promise<T>) => Promise<T>,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (let missing = length; missing > 0;) {
      const { done, value } = await watch(reader.read())
      if (done) return
      const piece = value.subarray(0, missing)
      missing -= piece.length
      yield piece
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

async function joined(
  pieces: AsyncIterable<Uint8Array>,
  all: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  let filled = 0
  for await (const piece of pieces) {
    all.set(piece, filled)
    filled += piece.length
  }
  return all.subarray(0, filled)
}

/** Aborts `signal` when something watched takes longer than `stallMs`, or when `outer` aborts. */
function createStallGuard(stallMs: number, outer?: AbortSignal) {
  const stalled = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const stop = () => clearTimeout(timer)
  return {
    signal: outer ? AbortSignal.any([outer, stalled.signal]) : stalled.signal,
    stop,
    async watch<T>(work: Promise<T>): Promise<T> {
      timer = setTimeout(() => stalled.abort(new Error(`silent for ${stallMs / 1000} s`)), stallMs)
      try {
        return await work
      } finally {
        stop()
      }
    },
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
