/**
 * What an HTTP answer to a range request says of the file behind it.
 *
 * @module
 */

/** A file at one moment: all devices of a room read the same, or none. */
export type ModelVersion = { sizeBytes: number; revision: string }

/**
 * The name of a file's version, by the most telling header that a page may see: a content hash, a commit, a date.
 *
 * Of another origin's headers only Last-Modified is visible without Access-Control-Expose-Headers. Weak and strong
 * tags count as equal: proxies that compress weaken tags.
 */
export function revisionOf(headers: Headers): string | null {
  for (const name of ['etag', 'x-linked-etag', 'x-repo-commit', 'last-modified']) {
    const value = headers.get(name)?.trim()
    if (value) return value.replace(/^W\//, '').slice(0, 256)
  }
  return null
}

/**
 * Content-Range (RFC 9110 §14.4) as [start, end) of `sizeBytes`; 416 answers carry the size alone.
 *
 * @returns null when the header is missing or not visible to this origin; `sizeBytes` null when the server says '*'
 */
export function contentRange(
  headers: Headers,
): { start: number; end: number; sizeBytes: number | null } | null {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers.get('content-range')?.trim() ?? '')
  if (!match) return null
  const [, first, last, size] = match
  return {
    start: Number(first ?? 0),
    end: last === undefined ? 0 : Number(last) + 1,
    sizeBytes: size === '*' ? null : Number(size),
  }
}

/** The SHA-256 of an answer's content, base64, as its server promises it (RFC 9530 §2); null when it does not. */
export function contentDigest(headers: Headers): string | null {
  return /(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):/.exec(headers.get('content-digest') ?? '')?.[1] ?? null
}

/** Base64, as {@link contentDigest} has it. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))))
}
