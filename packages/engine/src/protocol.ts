/**
 * Every message that crosses the network or reaches a device from another one, in one place: schema and type together,
 * so that neither can be wrong alone.
 *
 *   device ⇄ signal server   FromDevice / FromServer   JSON over WebSocket
 *   device ⇄ device          ControlMessage            JSON over simple-peer's own data channel, 'control'
 *   device → next device     Activation                binary over data channel 'ring'; its bytes live in wire.ts
 *   page   ⇄ engine worker   worker/messages.ts        structured clone, one origin, one build: types suffice
 *
 * `parse…` turns a stranger's text into a message or null, never into an exception; unknown fields are dropped.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import * as v from 'valibot'
import { errorCodes } from './errors.ts'

/** Bump on any change that a device built yesterday could not read. Checked in `join` and `hello`. */
export const protocolVersion = 9

/** Longest JSON text taken from the network: a chat of a model's whole context fits, a flood does not. */
export const maxMessageChars = 1_048_576
/** Most devices of one room: a big family with all its tablets. */
export const maxDevices = 32
/** Of a device's or a model's name. */
export const maxNameChars = 64
/** One control message is one data-channel message, and Chromium and Firefox take no more (RFC 8841 §6). */
export const maxControlBytes = 262_144
/** Questions of programs that one device carries at once: of the four that a head takes from it, one is left for its person. */
export const maxCarried = 3
/** Of one conversation. */
export const maxMessages = 10_000
/** Of an answer's text in one message to the server. */
export const maxAnswerChars = 65_536
const maxLayers = 1024
/** Of one answer's tokens or its prompt's in one message: as many fit {@link maxControlBytes}. */
const maxTokenIds = 32_768

const Id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{8,64}$/))
const DeviceIdSchema = v.pipe(
  Id,
  v.transform((id) => id as DeviceId),
)
const Name = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(maxNameChars))
/** For people; a long address in it must not cost the whole message. */
const Sentence = v.pipe(
  v.string(),
  v.transform((text) => text.slice(0, 2000)),
)
const Count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))
const Measure = v.pipe(v.number(), v.finite(), v.minValue(0))
const shortRecord = <S extends v.GenericSchema>(value: S) =>
  v.pipe(v.record(v.pipe(v.string(), v.maxLength(64)), value), v.maxEntries(64))

/** 128 bits or more, derived from the secret of the join link (page/join-secret.ts); who knows it may enter. */
const RoomIdSchema = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{22,64}$/),
  v.transform((id) => id as RoomId),
)
export type RoomId = string & { readonly __brand: 'RoomId' }

/** SHA-256 of the room's API key (page/join-secret.ts), base64url: tells who sends the key, and is of no other use. */
const KeyHash = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/))

/** Names one question of a program; chosen by the server. */
const QuestionIdSchema = v.pipe(
  Id,
  v.transform((id) => id as QuestionId),
)
export type QuestionId = string & { readonly __brand: 'QuestionId' }

/** Counts the plans of a room from 1; a message that names another plan than the newest is out of date. */
const PlanNumber = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))

/** Where a GGUF file is and which version of it is meant: all devices read the same bytes, or none. */
const ModelRefSchema = v.object({
  name: Name,
  /** Absolute, or a path on the signal server ('/models/demo-q8_0.gguf'). */
  url: v.pipe(v.string(), v.maxLength(2048), v.regex(/^(https?:\/\/|\/)/)),
  sizeBytes: Count,
  /** ETag, commit or date, as the source names its version. */
  revision: v.pipe(v.string(), v.maxLength(256)),
})
export type ModelRef = v.InferOutput<typeof ModelRefSchema>

const Share = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const HopTimesSchema = v.object({
  rowMs: Measure,
  rowP90Ms: Measure,
  chunkMs: Measure,
  chunkP90Ms: Measure,
  lateShare: Share,
})
const SlowdownSchema = v.object({
  factor: v.pipe(Measure, v.minValue(1), v.maxValue(1000)),
  reasons: v.pipe(v.array(v.picklist(['hidden', 'battery', 'heat'])), v.maxLength(3), v.readonly()),
})

const GpuProfileSchema = v.object({
  memoryBytes: Measure,
  weightBytesPerSec: shortRecord(Measure),
  prefillBytesPerSec: v.optional(shortRecord(Measure)),
  copyMs: Measure,
})

/** What a device measured of itself; `DeviceProfile` of @hearth/halda says what the fields mean. */
const DeviceProfileSchema = v.object({
  device: DeviceIdSchema,
  memoryBytes: Measure,
  weightBytesPerSec: shortRecord(Measure),
  diskReadBytesPerSec: Measure,
  hopMs: shortRecord(Measure),
  defaultHopMs: Measure,
  hops: v.optional(shortRecord(HopTimesSchema)),
  prefillBytesPerSec: v.optional(shortRecord(Measure)),
  layerFixedMs: v.optional(Measure),
  kvAppendMs: v.optional(Measure),
  headFixedMs: v.optional(Measure),
  kvReadBytesPerSec: v.optional(Measure),
  diskWriteBytesPerSec: v.optional(Measure),
  diskMeasured: v.optional(v.picklist(['warm', 'streamed'])),
  slowdown: v.optional(SlowdownSchema),
  measuredAtMs: v.optional(Measure),
  gpu: v.optional(GpuProfileSchema),
})

const ModelProfileSchema = v.object({
  name: Name,
  nLayers: v.pipe(Count, v.minValue(1), v.maxValue(maxLayers)),
  dim: v.pipe(Count, v.minValue(1), v.maxValue(65_535)),
  layerBytes: v.pipe(v.array(shortRecord(Count)), v.minLength(1), v.maxLength(maxLayers), v.readonly()),
  outputBytes: shortRecord(Count),
  embeddingBytes: Count,
  tiedOutput: v.boolean(),
  kvBytesPerPosition: Count,
  contextLength: v.pipe(Count, v.minValue(1)),
  bufferBytes: v.optional(Count),
  headDim: v.optional(v.pipe(Count, v.minValue(1), v.maxValue(65_535))),
})

const PlanSchema = v.object({
  head: DeviceIdSchema,
  rounds: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxLayers)),
  windows: v.pipe(
    v.array(
      v.object({
        device: DeviceIdSchema,
        firstLayer: v.pipe(Count, v.maxValue(maxLayers)),
        layers: v.pipe(Count, v.minValue(1), v.maxValue(maxLayers)),
        gpuLayers: v.pipe(Count, v.maxValue(maxLayers)),
      }),
    ),
    v.minLength(1),
    v.maxLength(maxLayers),
  ),
  predictedTpotMs: Measure,
})

/** How far a device is with the plan that it names. */
const DeviceStatusSchema = v.variant('phase', [
  v.object({ phase: v.literal('idle') }),
  v.object({ phase: v.literal('loading'), plan: PlanNumber, loadedBytes: Count, totalBytes: Count }),
  v.object({
    phase: v.literal('ready'),
    plan: PlanNumber,
    /** On the head, while somebody waits for an answer: another plan would end it. */
    answering: v.optional(v.boolean()),
  }),
  v.object({ phase: v.literal('failed'), plan: PlanNumber, code: v.picklist(errorCodes), message: Sentence }),
])
export type DeviceStatus = v.InferOutput<typeof DeviceStatusSchema>

const NumberedPlanSchema = v.object({ number: PlanNumber, plan: PlanSchema })
export type NumberedPlan = v.InferOutput<typeof NumberedPlanSchema>

const Rounds = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxLayers)))
const PlanRequestSchema = v.variant('split', [
  v.object({ split: v.literal('fastest') }),
  v.object({ split: v.literal('even'), rounds: Rounds }),
  v.object({
    split: v.literal('manual'),
    layers: shortRecord(v.pipe(Count, v.maxValue(maxLayers))),
    gpuLayers: v.optional(shortRecord(v.pipe(Count, v.maxValue(maxLayers)))),
    rounds: Rounds,
    head: v.optional(DeviceIdSchema),
  }),
])

/** What the room runs and how it is shared out: chosen by one device, the same for all. */
const ChoiceSchema = v.object({
  model: ModelRefSchema,
  profile: ModelProfileSchema,
  request: v.optional(PlanRequestSchema, { split: 'fastest' }),
})
export type ModelChoice = v.InferOutput<typeof ChoiceSchema>

const ChatMessageSchema = v.object({
  role: v.picklist(['system', 'user', 'assistant']),
  content: v.pipe(v.string(), v.maxLength(500_000)),
})
/** One turn of a conversation. The head applies the chat template. */
export type ChatMessage = v.InferOutput<typeof ChatMessageSchema>
const ChatMessages = v.pipe(v.array(ChatMessageSchema), v.minLength(1), v.maxLength(maxMessages))

/** More than any context holds: for an answer that ends by itself. */
export const maxTokensOfAnswer = 1_000_000
const GenerateOptionsSchema = v.object({
  maxTokens: v.pipe(Count, v.minValue(1), v.maxValue(maxTokensOfAnswer)),
  /** 0 is greedy. */
  temperature: v.pipe(v.number(), v.minValue(0), v.maxValue(10)),
  topP: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
  seed: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff)),
  /** Whether tokens are guessed and run behind another one; as measured trips say, when absent. The words are the same. */
  drafts: v.optional(v.picklist(['never', 'always'])),
})
export type GenerateOptions = v.InferOutput<typeof GenerateOptionsSchema>

const GenerateStatsSchema = v.object({
  /** From the question's arrival at the head, waiting its turn included, to the first token. */
  ttftMs: Measure,
  /** Mean over the tokens after the first; 0 when there were none. */
  tpotMs: Measure,
  /** Mean over the trips that ran one token without guesses, which is what plans predict; 0 when there were none. */
  tripMs: Measure,
  promptTokens: Count,
  /** Of these, how many were still in the KV cache from the turn before. */
  cachedTokens: Count,
  outputTokens: Count,
  /** Guesses that were run behind a token on its trip, and how many of them came true. */
  draftedTokens: Count,
  acceptedTokens: Count,
  stop: v.picklist(['end', 'length', 'aborted']),
})
export type GenerateStats = v.InferOutput<typeof GenerateStatsSchema>

/** What a device says to the signal server. */
const FromDeviceSchema = v.variant('type', [
  v.object({
    type: v.literal('join'),
    version: v.number(),
    room: RoomIdSchema,
    device: DeviceIdSchema,
    name: Name,
    /** True from a device that makes this room, or was in it before: the server may have restarted since. */
    mayOpen: v.boolean(),
    /** What the device still knows of the room; taken when the server knows nothing newer. */
    memory: v.optional(
      v.object({
        choice: v.optional(ChoiceSchema),
        numbered: v.optional(NumberedPlanSchema),
      }),
    ),
    profile: v.optional(DeviceProfileSchema),
    status: DeviceStatusSchema,
    /** For programs that have the room's key; `isOpen` when this device carries their questions into the room. */
    door: v.object({ keyHash: KeyHash, isOpen: v.boolean() }),
  }),
  /** After measuring, and again when a measurement or the budget has changed. */
  v.object({ type: v.literal('profile'), profile: DeviceProfileSchema }),
  /** From any device: let the room run this model. The device has read the header; the server never does. */
  v.object({ type: v.literal('choose'), choice: ChoiceSchema }),
  v.object({ type: v.literal('status'), status: DeviceStatusSchema }),
  v.object({ type: v.literal('rename'), name: Name }),
  /** WebRTC signalling, sealed with a key that the server does not have (page/join-secret.ts). */
  v.object({
    type: v.literal('signal'),
    to: DeviceIdSchema,
    sealed: v.pipe(v.string(), v.maxLength(65_536)),
  }),
  /** A device no longer answers `ping`, whatever the server hears from it. */
  v.object({ type: v.literal('unreachable'), device: DeviceIdSchema }),
  /** A person opened this device's door to programs, or closed it. */
  v.object({ type: v.literal('door'), isOpen: v.boolean() }),
  /** What is new of the answer to a program's question; nothing, now and then, while it is awaited. */
  v.object({
    type: v.literal('answer'),
    question: QuestionIdSchema,
    text: v.pipe(v.string(), v.maxLength(maxAnswerChars)),
  }),
  v.object({ type: v.literal('answer-done'), question: QuestionIdSchema, stats: GenerateStatsSchema }),
  v.object({
    type: v.literal('answer-failed'),
    question: QuestionIdSchema,
    code: v.picklist(errorCodes),
    message: Sentence,
  }),
  v.object({ type: v.literal('leave') }),
])
export type FromDevice = v.InferOutput<typeof FromDeviceSchema>

const DeviceViewSchema = v.object({
  device: DeviceIdSchema,
  name: Name,
  /** 'away': its socket closed a moment ago; its seat is kept for a reload's time. */
  presence: v.picklist(['here', 'away']),
  profile: v.nullable(DeviceProfileSchema),
  status: DeviceStatusSchema,
})
export type DeviceView = v.InferOutput<typeof DeviceViewSchema>

const RoomViewSchema = v.object({
  /** In the order they joined. */
  devices: v.pipe(v.array(DeviceViewSchema), v.maxLength(maxDevices)),
  choice: v.nullable(ChoiceSchema),
  numbered: v.nullable(NumberedPlanSchema),
  /** Why there is a choice but no plan, in a sentence. */
  noPlan: v.nullable(Sentence),
  /** A plan is on its way: what `noPlan` says is only why it takes a moment. */
  planning: v.boolean(),
})
/** All that the server knows of a room; sent whole on every change, so that a message lost is no message missed. */
export type RoomView = v.InferOutput<typeof RoomViewSchema>

export const refusals = ['version', 'no-room', 'room-full', 'malformed'] as const

/** WebSocket close code (an application's own, RFC 6455 §7.4.2): the same device joined on another connection. */
export const replacedCloseCode = 4001

/** What the signal server says to a device. */
const FromServerSchema = v.variant('type', [
  v.object({ type: v.literal('room'), room: RoomViewSchema }),
  v.object({
    type: v.literal('signal'),
    from: DeviceIdSchema,
    sealed: v.pipe(v.string(), v.maxLength(65_536)),
  }),
  /** To a device whose door is open: a program asks the room. */
  v.object({
    type: v.literal('question'),
    question: QuestionIdSchema,
    messages: ChatMessages,
    options: GenerateOptionsSchema,
    /** The answer ends before the first of these texts. */
    stop: v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(1000))), v.maxLength(4)),
  }),
  /** Nobody waits for the answer any more. */
  v.object({ type: v.literal('question-stop'), question: QuestionIdSchema }),
  /** The server closes the socket after this. */
  v.object({ type: v.literal('refused'), code: v.picklist(refusals), message: Sentence }),
])
export type FromServer = v.InferOutput<typeof FromServerSchema>

/** Names one conversation of one device; the head keeps a session for each. */
const ChatId = Id
/** One conversation's KV cache on every device; chosen by the head. */
const SessionId = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))

const TokenIds = v.pipe(v.array(v.pipe(Count, v.maxValue(0xffff_ffff))), v.maxLength(maxTokenIds))
/** How far an answer came before the ring broke. */
const BegunSchema = v.object({
  /** The conversation as the first head encoded it; encoding it again need not give the same tokens. */
  prompt: TokenIds,
  said: TokenIds,
})
export type Begun = v.InferOutput<typeof BegunSchema>

/** From the device that asks to the head. */
const ChatRequestSchemas = [
  v.object({
    type: v.literal('generate'),
    chat: ChatId,
    messages: ChatMessages,
    options: GenerateOptionsSchema,
    /** The answer goes on behind this, with the words that it would have had. */
    begun: v.optional(BegunSchema),
  }),
  v.object({ type: v.literal('abort'), chat: ChatId }),
] as const

/** From the head to the device that asked. */
const ChatEventSchemas = [
  /** `ahead` answers come first; sent again whenever that number changes, and with 0 when this one begins. */
  v.object({ type: v.literal('queued'), chat: ChatId, ahead: Count }),
  /** Before the first token. */
  v.object({ type: v.literal('begun'), chat: ChatId, prompt: TokenIds }),
  v.object({
    type: v.literal('token'),
    chat: ChatId,
    /** What the token completes; nothing while a character is not whole. */
    text: v.pipe(v.string(), v.maxLength(65_536)),
    /** None where the text is what was left of the last one. */
    id: v.optional(Count),
  }),
  v.object({ type: v.literal('done'), chat: ChatId, stats: GenerateStatsSchema }),
  v.object({ type: v.literal('chat-failed'), chat: ChatId, code: v.picklist(errorCodes), message: Sentence }),
] as const

/** Between devices, before and around generation; never per token round the ring. */
const ControlMessageSchema = v.variant('type', [
  v.object({ type: v.literal('hello'), version: v.number() }),
  v.object({ type: v.literal('ping'), sentAtMs: Measure }),
  v.object({ type: v.literal('pong'), sentAtMs: Measure }),
  /** From the end of a pair that measured the hop between the two, to the other. */
  v.object({ type: v.literal('hop-times'), times: HopTimesSchema }),
  /** From the head to everybody: how much longer than a probe a hop takes while the ring answers. */
  v.object({ type: v.literal('busy-hop'), ms: Measure }),
  /** From the head: drop this session's KV cache. */
  v.object({ type: v.literal('release'), session: SessionId }),
  /** From a device of the ring to the head: this session cannot go on here. */
  v.object({
    type: v.literal('session-failed'),
    session: SessionId,
    code: v.picklist(errorCodes),
    message: Sentence,
  }),
  ...ChatRequestSchemas,
  ...ChatEventSchemas,
])
export type ControlMessage = v.InferOutput<typeof ControlMessageSchema>
export type ChatRequest = v.InferOutput<(typeof ChatRequestSchemas)[number]>
export type ChatEvent = v.InferOutput<(typeof ChatEventSchemas)[number]>

/**
 * Hidden states on their way through the layers: the only message in the hot path.
 *
 * `position` is the truth: it says that the KV cache of `session` holds exactly [0, position), so a receiver drops
 * whatever it has beyond. Starting over or rolling back needs no other message.
 */
export type Activation = {
  /** Plan that this frame belongs to. */
  plan: number
  session: number
  /** Sequence position of the first row. */
  position: number
  /** Next layer to run; `layer === nLayers` means: norm, logits, sample. */
  layer: number
  /** 1 in decode, more with guesses behind it, a chunk of the prompt in prefill; 0 ends a volley whose last rows were lost on the way. */
  rows: number
  /**
   * More frames of the same volley follow, of this session or of others: what the head sends together. A device that reads
   * weights for each step may wait for them.
   */
  more?: true
  /** All rows are wanted back, not only the last one: guesses follow the first. */
  every?: true
  /** A device on the way read weights to run these rows, so that more of them would have cost it next to nothing. */
  read?: true
  /** How long the layers that have run took, on all devices together: what is left of a token's time it was on its way. */
  computeMs?: number
  /** (rows, dim), row-major. */
  hidden: Float32Array
}

const parserOf =
  <S extends v.GenericSchema>(schema: S) =>
  (text: unknown): v.InferOutput<S> | null => {
    if (typeof text !== 'string' || text.length > maxMessageChars) return null
    try {
      const result = v.safeParse(schema, JSON.parse(text))
      return result.success ? result.output : null
    } catch {
      return null
    }
  }

export const parseFromDevice = parserOf(FromDeviceSchema)
export const parseFromServer = parserOf(FromServerSchema)
export const parseControlMessage = parserOf(ControlMessageSchema)
