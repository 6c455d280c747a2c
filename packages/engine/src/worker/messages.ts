/**
 * What a page and its engine worker say to each other. One origin and one build, so types suffice.
 *
 * @module
 */
import type { DeviceId } from '@hearth/halda'
import type { ErrorCode } from '../errors.ts'
import type { Abilities, GpuView, StorageView, Streaming } from '../page/cluster.ts'
import type {
  ChatEvent,
  ChatRequest,
  ControlMessage,
  FromDevice,
  ModelChoice,
  RoomView,
} from '../protocol.ts'
import type { DataChannel } from '../ring/channel-link.ts'
import type { Dtype } from '../wire.ts'
import type { Conditions } from './profile/slowdown.ts'

export type StartOptions = {
  device: DeviceId
  /** Resolves paths such as '/models/demo-q8_0.gguf'. */
  origin: string
  dtype: Dtype
  memoryBudgetBytes: number
  /** 0: no GPU is used. */
  gpuBudgetBytes: number
  /** A GPU that is only a program on the processor will do, too. */
  takesSoftwareGpu: boolean
  /** Measured when absent. */
  threads?: number
  backend: 'wasm' | 'reference'
  /** Makes the store as slow as that, for experiments. */
  diskBytesPerSec?: number
  /** False reads a streamed layer when it runs and no sooner, for experiments. */
  readsAhead?: boolean
}

/** What becomes of a question, as its page hears it. */
export type AnswerEvent =
  | Exclude<ChatEvent, { type: 'begun' }>
  /** The ring broke; the answer goes on when it is whole again. Why, in words; told anew when they change. */
  | { type: 'paused'; chat: string; message: string }

/** What a page tells its worker. */
export type EngineRequest =
  /** First, and once. */
  | { type: 'start'; options: StartOptions }
  /** Whenever the server sent a new view. */
  | { type: 'room'; room: RoomView }
  /** A ring channel to a peer: the data channel itself where the browser can transfer it, else a bridge's port. */
  | { type: 'channel'; peer: DeviceId; channel: DataChannel | MessagePort }
  | { type: 'peer-closed'; peer: DeviceId }
  | { type: 'control'; from: DeviceId; message: ControlMessage }
  | { type: 'budget'; memoryBudgetBytes: number }
  | { type: 'gpu-budget'; gpuBudgetBytes: number }
  /** Whenever the page sees a change in them. */
  | { type: 'conditions'; conditions: Conditions }
  | { type: 'ask'; request: ChatRequest }
  | EngineCall

/** Requests that are answered, each by one 'reply' with the same id. */
export type EngineCall =
  /** Read the header of a model and describe it to the planner. */
  | { type: 'inspect'; id: number; source: string }
  | { type: 'measure'; id: number }
  | { type: 'remove-model'; id: number; model: string }

/** What a worker tells its page. */
export type EngineEvent =
  /** To be passed to the server unread. */
  | { type: 'to-server'; message: FromDevice }
  /** To be passed to a device unread. */
  | { type: 'control'; to: DeviceId; message: ControlMessage }
  | { type: 'chat'; event: AnswerEvent }
  | { type: 'report'; report: Partial<EngineReport> }
  | { type: 'problem'; code: ErrorCode; message: string }
  | { type: 'reply'; id: number; result: ModelChoice | null }
  | { type: 'reply-failed'; id: number; code: ErrorCode; message: string }

/** What the page shows of its worker. */
export type EngineReport = {
  abilities: Abilities
  gpu: GpuView | null
  memoryBytes: number
  peakMemoryBytes: number
  reservedBytes: number
  pressure: number
  peakPressure: number
  streaming: Streaming | null
  downloadedBytes: number
  droppedFrames: number
  storage: StorageView
}
