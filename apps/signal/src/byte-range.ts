/**
 * Which bytes of a file a request is about, and whether it still is the file that was meant (RFC 9110 §13 and §14).
 *
 * @module
 */

/** Bytes [start, end). */
export type ByteRange = { start: number; end: number }

export type Selection =
  | { status: 200 }
  | { status: 206; range: ByteRange }
  | { status: 304 }
  /** The file changed since. */
  | { status: 412 }
  /** No byte of the range exists. */
  | { status: 416 }

/**
 * @param headers `If-Match`, `If-None-Match`, `If-Range` and `Range` are read, in the order of RFC 9110 §13.2.2
 * @param method a HEAD request has no ranges
 */
export function select(
  headers: Headers,
  method: string,
  file: { sizeBytes: number; etag: string; modified: Date },
): Selection {
  const ifMatch = headers.get('if-match')
  if (ifMatch !== null && !names(ifMatch, file.etag)) return { status: 412 }
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== null && names(ifNoneMatch.replaceAll('W/', ''), file.etag)) return { status: 304 }
  const range = headers.get('range')
  if (range === null || method !== 'GET' || !isCurrent(headers.get('if-range'), file)) return { status: 200 }
  return selectRange(range, file.sizeBytes)
}

/** Strong comparison: a weak tag names nothing (RFC 9110 §8.8.3.2). */
const names = (list: string, etag: string): boolean =>
  list.trim() === '*' || list.split(',').some((each) => each.trim() === etag)

const isCurrent = (ifRange: string | null, { etag, modified }: { etag: string; modified: Date }): boolean =>
  ifRange === null || ifRange === etag || ifRange === modified.toUTCString()

/** One range; several at once, other units and what is no range are answered with the whole file (RFC 9110 §14.2). */
function selectRange(header: string, sizeBytes: number): Selection {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header)
  const [, first = '', last = ''] = match ?? []
  if (!match || (first === '' && last === '')) return { status: 200 }
  if (first === '') {
    const start = Math.max(0, sizeBytes - Number(last))
    return start < sizeBytes ? { status: 206, range: { start, end: sizeBytes } } : { status: 416 }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return { status: 200 }
  if (start >= sizeBytes) return { status: 416 }
  return {
    status: 206,
    range: { start, end: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) },
  }
}
