/**
 * What a page may ask of this device and see of the cluster. Implemented by `create-cluster.ts`; the app imports
 * nothing deeper.
 *
 * @module
 */
import type { BytesByType, DeviceId, GpuProfile, PlanRequest, Slowdown } from '@hearth/halda'
import type { EngineError, ErrorCode } from '../errors.ts'
import type { ChatMessage, GenerateOptions, RoomView } from '../protocol.ts'
import type { AnswerEvent } from '../worker/messages.ts'

/** A browser feature that is not there, and what that means for the person. */
export type MissingFeature = {
  feature:
    | 'secure-context'
    | 'cross-origin-isolation'
    | 'opfs'
    | 'webrtc'
    | 'wasm-simd'
    | 'webgpu'
    | 'channel-transfer'
    | 'persistent-storage'
  /** 'blocks': this device cannot take part; 'slows': it can, less well. */
  severity: 'blocks' | 'slows'
  /** A sentence: what is missing, what it costs, how to get it. */
  message: string
}

/** What this device measured about itself; `DeviceProfile` of @hearth/halda says what the figures mean. */
export type Abilities = {
  /** "WASM, relaxed SIMD, 2 threads" */
  compute: string
  threads: number
  weightBytesPerSec: BytesByType
  prefillBytesPerSec: BytesByType
  layerFixedMs: number
  kvAppendMs: number
  headFixedMs: number
  kvReadBytesPerSec: number
  diskReadBytesPerSec: number
  diskWriteBytesPerSec: number
  diskMeasured: 'warm' | 'streamed'
  measuredAtMs: number
  /** Null where no layer can run on a GPU. */
  gpu: GpuProfile | null
  /** What makes it slower than these figures now; the planner is told the slower ones. */
  slowdown: Slowdown | null
}

/** The GPU of this device. */
export type GpuView = {
  /** As the browser names it: "intel gen-12lp". */
  name: string
  /** Why it is not used any more, in a sentence; null while nothing is wrong with it. */
  problem: string | null
}

/** Layers that do not fit this device's memory and are read from its store each time they run. */
export type Streaming = {
  layers: number
  layerBytes: number
  /** Layers handed to the forward pass so far, and how long it waited for them. */
  acquired: number
  waitedMs: number
  /** Read from the store since the page opened, and the time in which something was being read. */
  readBytes: number
  readingMs: number
}

/** A model that this device holds a part of. */
export type StoredModel = { model: string; name: string; url: string; storedBytes: number; inUse: boolean }

export type StorageView = {
  models: StoredModel[]
  usedBytes: number
  /** What the browser says; a hint at best (Chromium answers usage + 10 GiB). */
  quotaBytes: number | null
  persisted: boolean
}

export type Connection =
  | { phase: 'connecting' }
  | { phase: 'online' }
  /** The server is out of reach; tried again by itself. Chats between linked devices go on. */
  | { phase: 'offline'; retryAtMs: number }
  /** 'replaced': the same device joined from another window. */
  | {
      phase: 'refused'
      code: 'version' | 'no-room' | 'room-full' | 'malformed' | 'replaced'
      message: string
    }

/**
 * Whom a join link leads here. 'everybody-warned': their browsers warn once, since nobody but the server's machine vouches
 * for its certificate.
 */
export type JoinReach = 'everybody' | 'everybody-warned' | 'this-machine'

/** How programs of the house ask the room, by way of this device. */
export type DoorView = {
  /** Closed until a person opens it: what passes, the server reads. */
  isOpen: boolean
  /** "http://localhost:8787/v1", as OpenAI's clients want it. */
  baseUrl: string
  /** The same on every device of the room; null until there is one. */
  key: string | null
}

/** What stands between the room and a chat. */
export type Readiness =
  | { phase: 'no-model' }
  | { phase: 'planning'; message: string }
  | { phase: 'no-plan'; message: string }
  | { phase: 'loading'; loadedBytes: number; totalBytes: number }
  | { phase: 'connecting' }
  | { phase: 'waiting'; for: DeviceId[] }
  | { phase: 'ready' }
  | { phase: 'failed'; device: DeviceId; code: ErrorCode; message: string }

export type ClusterState = {
  device: DeviceId
  name: string
  missing: MissingFeature[]
  /** null while measuring. */
  abilities: Abilities | null
  memoryBudgetBytes: number
  /** What layers may fill of the GPU's memory; 0 when it is switched off. */
  gpuBudgetBytes: number
  /** Null where the browser offers none, and before it was looked for. */
  gpu: GpuView | null
  /** Bytes the engine holds now: weights, KV cache, scratch, buffers. */
  memoryBytes: number
  /** Most that `memoryBytes` was since the page opened. */
  peakMemoryBytes: number
  /** Bytes the engine has taken from the browser: WASM memory never shrinks, what was freed in it is used again. */
  reservedBytes: number
  /** `memoryBytes` ÷ `memoryBudgetBytes`, now and at most; above 1 for the moment in which a smaller budget is met. */
  pressure: number
  peakPressure: number
  /** null while everything fits. */
  streaming: Streaming | null
  /** Bytes of weights and headers fetched since the page opened. */
  downloadedBytes: number
  /** Hidden states that came for no plan of this device, since the page opened: late ones, or a stranger's. */
  droppedFrames: number
  connection: Connection
  /** The link that lets others in; null until there is a room. */
  joinLink: string | null
  joinReach: JoinReach
  door: DoorView
  room: RoomView | null
  readiness: Readiness
  /** How this device reaches each of the others. */
  links: Record<DeviceId, 'connecting' | 'open' | 'failed'>
  storage: StorageView
  /** The last thing that went wrong and was not the answer to a call. */
  problem: EngineError | null
}

/** A model that the server offers. */
export type OfferedModel = { name: string; url: string; sizeBytes: number; revision: string }

export interface Cluster {
  state(): ClusterState
  /** Called after every change, at most once per animation frame's time. @returns unsubscribe */
  subscribe(listener: (state: ClusterState) => void): () => void
  /** @throws EngineError 'model-unreachable' when the server does not answer */
  offeredModels(): Promise<OfferedModel[]>
  /**
   * Lets the room run a model.
   *
   * @param request how layers are shared out; the fastest way when absent
   * @param source a path on the server ('/models/demo-q8_0.gguf'), 'owner/repo/file.gguf' on Hugging Face, or any URL
   * @throws EngineError 'not-gguf' | 'unsupported-model' | 'model-unreachable' | 'no-ranges' | 'model-truncated' …
   */
  choose(source: string, request?: PlanRequest): Promise<void>
  /**
   * Asks the room's head for an answer. The iterable ends after 'done'. When a device leaves meanwhile, the answer goes on
   * with the next plan, behind the tokens that are out.
   *
   * @throws EngineError 'aborted' when it is stopped while it waits for a ring; 'not-ready' | 'device-left' | 'link-lost' | 'context-full' …
   */
  generate(
    chat: string,
    messages: ChatMessage[],
    options: GenerateOptions,
    signal?: AbortSignal,
  ): AsyncIterable<AnswerEvent>
  rename(name: string): void
  setMemoryBudget(bytes: number): void
  /** @param bytes 0 switches it off */
  setGpuBudget(bytes: number): void
  /** Lets programs that have the room's key ask by way of this device, or no more; remembered for this room alone. */
  setDoor(isOpen: boolean): void
  measureAgain(): Promise<void>
  /** Deletes what this device stores of a model. Refused, with a sentence, while the room runs it. */
  removeModel(model: string): Promise<void>
  /** Leaves this room, if any, and opens a new one. */
  newRoom(): Promise<void>
  close(): void
}

export type CreateClusterOptions = {
  /** The page's own address; its fragment holds the join secret. */
  location: { href: string; origin: string }
  /** Writes the join secret into the address bar. */
  setFragment: (fragment: string) => void
  /** Wire format of hidden states; f16 unless asked otherwise. */
  dtype?: 'f16' | 'f32'
  /** Overrides for tests and for engineers; measured or remembered otherwise. */
  threads?: number
  memoryBudgetBytes?: number
  gpuBudgetBytes?: number
  /** Layers may also run on a GPU that is only a program on the processor, for tests. */
  takesSoftwareGpu?: boolean
  backend?: 'wasm' | 'reference'
  /** Makes the store as slow as that, for experiments. */
  diskBytesPerSec?: number
  /** False reads a streamed layer when it runs and no sooner, for experiments. */
  readsAhead?: boolean
}
