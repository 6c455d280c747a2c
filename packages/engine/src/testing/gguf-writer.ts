/**
 * Writes GGUF files in memory, so that tests need no binary fixtures.
 *
 * Source: GGUF specification, ggml/docs/gguf.md; version 3, little-endian, alignment 32.
 *
 * @module
 */

/**
 * A metadata value as JavaScript has it: integers become u32, other numbers f32, and arrays of numbers i32, the only kind
 * that llama.cpp takes for `token_type`.
 */
export type MetadataValue = string | boolean | number | readonly string[] | readonly number[] | Floats

/** An f32 or an array of them, whatever the values look like. */
export type Floats = { f32: number | readonly number[] }

/** A tensor as GGUF stores it. */
export type TensorBytes = {
  name: string
  /** ggml's number of the type (gguf/quant.ts). */
  typeId: number
  /** ggml's order: [cols, rows]. */
  shape: readonly number[]
  bytes: Uint8Array
}

const alignment = 32
const types = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const

/** A tensor before its bytes are there. */
export type TensorEntry = Omit<TensorBytes, 'bytes'> & { byteLength: number }

/** A whole GGUF file. */
export function writeGguf(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly TensorBytes[],
): Uint8Array {
  const entries = tensors.map(({ bytes, ...entry }) => ({ ...entry, byteLength: bytes.length }))
  const { header, offsets, sizeBytes } = writeGgufHeader(metadata, entries)
  const file = new Uint8Array(sizeBytes)
  file.set(header)
  for (const [i, { bytes }] of tensors.entries()) file.set(bytes, offsets[i]!)
  return file
}

/**
 * What comes before the tensors, padding included.
 *
 * @returns also where each tensor's bytes lie in the file, and the size of it all
 */
export function writeGgufHeader(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly TensorEntry[],
): { header: Uint8Array; offsets: number[]; sizeBytes: number } {
  const out = createWriter()
  out.text('GGUF')
  out.u32(3)
  out.u64(tensors.length)
  out.u64(Object.keys(metadata).length)
  for (const [key, value] of Object.entries(metadata)) {
    out.string(key)
    writeValue(out, value)
  }
  const relative: number[] = []
  let end = 0
  for (const { name, typeId, shape, byteLength } of tensors) {
    const offset = align(end)
    out.string(name)
    out.u32(shape.length)
    for (const size of shape) out.u64(size)
    out.u32(typeId)
    out.u64(offset)
    relative.push(offset)
    end = offset + byteLength
  }
  out.pad()
  const header = out.file()
  return { header, offsets: relative.map((offset) => header.length + offset), sizeBytes: header.length + end }
}

function writeValue(out: Writer, value: MetadataValue): void {
  if (typeof value === 'object' && 'f32' in value && typeof value.f32 === 'number') {
    out.u32(types.f32)
    out.f32(value.f32)
  } else if (typeof value === 'object') {
    const floats = 'f32' in value
    const items = (floats ? value.f32 : value) as readonly (string | number)[]
    out.u32(types.array)
    out.u32(floats ? types.f32 : typeof items[0] === 'string' ? types.string : types.i32)
    out.u64(items.length)
    for (const item of items) {
      if (typeof item === 'string') out.string(item)
      else if (floats) out.f32(item)
      else out.u32(item)
    }
  } else if (typeof value === 'string') {
    out.u32(types.string)
    out.string(value)
  } else if (typeof value === 'boolean') {
    out.u32(types.bool)
    out.bytes(Uint8Array.of(value ? 1 : 0))
  } else if (Number.isInteger(value)) {
    out.u32(types.u32)
    out.u32(value)
  } else {
    out.u32(types.f32)
    out.f32(value)
  }
}

type Writer = ReturnType<typeof createWriter>

function createWriter() {
  let buffer = new Uint8Array(4096)
  let end = 0
  const encoder = new TextEncoder()
  /** A view of the next `length` bytes, which count as written. */
  const next = (length: number): DataView => {
    if (end + length > buffer.length) {
      const larger = new Uint8Array(2 * (end + length))
      larger.set(buffer)
      buffer = larger
    }
    end += length
    return new DataView(buffer.buffer, end - length, length)
  }
  const bytes = (value: Uint8Array) => {
    next(value.length)
    buffer.set(value, end - value.length)
  }
  const u64 = (value: number) => next(8).setBigUint64(0, BigInt(value), true)
  return {
    bytes,
    u64,
    u32: (value: number) => next(4).setUint32(0, value, true),
    f32: (value: number) => next(4).setFloat32(0, value, true),
    text: (value: string) => bytes(encoder.encode(value)),
    string(value: string) {
      const utf8 = encoder.encode(value)
      u64(utf8.length)
      bytes(utf8)
    },
    pad: () => next(align(end) - end),
    file: () => buffer.slice(0, end),
  }
}

function align(position: number): number {
  return Math.ceil(position / alignment) * alignment
}
