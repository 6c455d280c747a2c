/**
 * Writes ONNX models: graphs that onnxruntime runs, made here at run time and never stored.
 *
 * Only what such graphs need of the format: nodes, named values with their shapes, small constants. Source: onnx.proto
 * (onnx/onnx, IR version 10) for the fields, and the Protocol Buffers encoding guide for the bytes.
 *
 * @module
 */

/** Element types of tensors, by their number in `TensorProto.DataType`. */
const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10 } as const
export type OnnxType = keyof typeof elementTypes

/** A tensor that goes in or comes out. A dimension that is a name may have another size in every run. */
export type OnnxValue = { name: string; type: OnnxType; dims: readonly (number | string)[] }

/** A tensor that is part of the model; `bytes` little-endian, row-major. */
export type OnnxConstant = { name: string; type: OnnxType; dims: readonly number[]; bytes: Uint8Array }

/** ONNX keeps integers and reals apart, which numbers do not. */
export type OnnxAttribute =
  | { int: number }
  | { float: number }
  | { ints: readonly number[] }
  | { text: string }

export type OnnxNode = {
  op: string
  /** ONNX's own operators when absent; those of onnxruntime are in 'com.microsoft'. */
  domain?: string
  /** An empty name leaves an optional input out. */
  inputs: readonly string[]
  outputs: readonly string[]
  attributes?: Readonly<Record<string, OnnxAttribute>>
}

export type OnnxGraph = {
  /** Each after those whose outputs it takes. */
  nodes: readonly OnnxNode[]
  inputs: readonly OnnxValue[]
  outputs: readonly OnnxValue[]
  constants?: readonly OnnxConstant[]
  /** Version of the operators by domain; `usualOpsets` when absent. */
  opsets?: Readonly<Record<string, number>>
}

/** The newest that onnxruntime 1.30 knows in full is 22; MatMulNBits and its like have had one version so far. */
export const usualOpsets = { '': 21, 'com.microsoft': 1 } as const
const irVersion = 10

/** @returns the bytes of a ModelProto */
export function onnxModel({
  nodes,
  inputs,
  outputs,
  constants = [],
  opsets = usualOpsets,
}: OnnxGraph): Uint8Array {
  const graph = message(
    ...nodes.map((node, i) => field(1, nodeProto(node, `${node.op}-${i}`))),
    field(2, text('hearth')),
    ...constants.map((constant) => field(5, tensorProto(constant))),
    ...inputs.map((value) => field(11, valueProto(value))),
    ...outputs.map((value) => field(12, valueProto(value))),
  )
  const imports = Object.entries(opsets).map(([domain, version]) =>
    field(8, message(field(1, text(domain)), number(2, version))),
  )
  return message(number(1, irVersion), field(7, graph), ...imports)
}

// ── messages of onnx.proto ──────────────────────────────────────────────────────────────────────────────────────────

const nodeProto = ({ op, domain = '', inputs, outputs, attributes = {} }: OnnxNode, name: string): Bytes =>
  message(
    ...inputs.map((input) => field(1, text(input))),
    ...outputs.map((output) => field(2, text(output))),
    field(3, text(name)),
    field(4, text(op)),
    ...Object.entries(attributes).map(([name, value]) => field(5, attributeProto(name, value))),
    field(7, text(domain)),
  )

function attributeProto(name: string, value: OnnxAttribute): Bytes {
  const { type, content } = attributeValue(value)
  return message(field(1, text(name)), content, number(20, type))
}

/** With its number in `AttributeProto.AttributeType`. */
function attributeValue(value: OnnxAttribute): { type: number; content: Bytes } {
  if ('float' in value) return { type: 1, content: float(2, value.float) }
  if ('int' in value) return { type: 2, content: number(3, value.int) }
  if ('text' in value) return { type: 3, content: field(4, text(value.text)) }
  return { type: 7, content: message(...value.ints.map((int) => number(8, int))) }
}

function valueProto({ name, type, dims }: OnnxValue): Bytes {
  const shape = message(
    ...dims.map((dim) => field(1, typeof dim === 'number' ? number(1, dim) : field(2, text(dim)))),
  )
  const tensor = message(number(1, elementTypes[type]), field(2, shape))
  return message(field(1, text(name)), field(2, field(1, tensor)))
}

const tensorProto = ({ name, type, dims, bytes }: OnnxConstant): Bytes =>
  message(
    ...dims.map((dim) => number(1, dim)),
    number(2, elementTypes[type]),
    field(8, text(name)),
    field(9, bytes),
  )

// ── the encoding ────────────────────────────────────────────────────────────────────────────────────────────────────

type Bytes = ArrayLike<number>

const [varintWire, lengthWire, float32Wire] = [0, 2, 5]
const encoder = new TextEncoder()

const text = (content: string): Uint8Array => encoder.encode(content)
const tag = (id: number, wire: number): number[] => varint(BigInt(id * 8 + wire))
const number = (id: number, value: number): Bytes => [...tag(id, varintWire), ...varint(BigInt(value))]
const field = (id: number, content: Bytes): Bytes =>
  message(tag(id, lengthWire), varint(BigInt(content.length)), content)

function float(id: number, value: number): Bytes {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setFloat32(0, value, true)
  return message(tag(id, float32Wire), bytes)
}

/** Seven bits a byte, lowest first; what is negative is written as 64 bits of two's complement. */
function varint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return [...bytes, Number(rest)]
}

/** Fields one after the other. */
function message(...fields: Bytes[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of fields) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
