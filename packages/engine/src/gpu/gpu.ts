/**
 * A GPU that layers may run on: a WebGPU device of ours, with onnxruntime working on that very device.
 *
 * @module
 */
import { EngineError } from '../errors.ts'
import type { OnnxType } from './onnx-model.ts'
import type { InferenceSession, Runtime, Tensor } from './runtime.ts'

export interface Gpu {
  /** As the browser names it: "intel gen-12lp". Browsers hide the rest. */
  readonly name: string
  readonly device: GPUDevice
  /** Resolves when this GPU must not be used any more: the device is lost, or it said that a result may be wrong. */
  readonly lost: Promise<EngineError>
  /** Set together with `lost`. */
  problem(): EngineError | null
  /** Ends the use of this GPU because its results cannot be trusted. @returns the EngineError of `lost` */
  fail(what: string): EngineError
  /**
   * Runs of all sessions take turns: the runtime waits for the GPU on one stack.
   *
   * @param model bytes of `onnxModel`
   * @param outputs where each comes to lie; as bytes of ours when absent
   * @throws Error of the runtime; the EngineError of `lost`
   */
  session(model: Uint8Array, outputs?: 'cpu' | 'gpu-buffer'): Promise<InferenceSession>
  /** A tensor over all of a buffer, which stays the caller's. */
  tensor(buffer: GPUBuffer, type: OnnxType, dims: readonly number[]): Tensor
  /** One int32 in the processor's memory, for inputs that decide shapes. */
  number(value: number): Tensor
  /**
   * For tensors, and to be written and read by us; its length rounded up to 16 bytes.
   *
   * @throws EngineError 'out-of-memory' where the device says so; most say nothing and slow down, or are lost
   */
  buffer(byteLength: number): Promise<GPUBuffer>
  /** Copies into a buffer of ours, ahead of all work that is given to the device afterwards. Both multiples of 4 bytes. */
  write(buffer: GPUBuffer, bytes: Uint8Array, offset?: number): void
  /** Waits for all work given so far. @throws the EngineError of `lost` */
  read(buffer: GPUBuffer, byteLength?: number): Promise<Uint8Array>
  /** Waits for all work given so far. */
  idle(): Promise<void>
  /** Gives back a buffer that `buffer` made, once all work given so far is done with it. */
  free(buffer: GPUBuffer): void
  /** Of buffers that were made and not given back. */
  heldBytes(): number
  close(): void
}

/** WebGPU §5.1.2 and §5.3: `GPUBufferUsage` and `GPUMapMode`, which TypeScript's library does not declare as values. */
const [mapReadUsage, copySrcUsage, copyDstUsage, storageUsage] = [0x1, 0x4, 0x8, 0x80]
const mapRead = 0x1

/** Of buffers for tensors, which are written and read by us, too. */
export const tensorUsage = storageUsage | copySrcUsage | copyDstUsage

const rounded = (byteLength: number): number => Math.max(16, Math.ceil(byteLength / 16) * 16)

export function createGpu(name: string, device: GPUDevice, { InferenceSession, Tensor }: Runtime): Gpu {
  const held = new Set<GPUBuffer>()
  let problem: EngineError | null = null
  let isClosed = false
  let tell!: (problem: EngineError) => void
  const lost = new Promise<EngineError>((resolve) => (tell = resolve))

  function fail(what: string): EngineError {
    if (problem) return problem
    problem = new EngineError(
      'gpu-lost',
      `The GPU of this device (${name}) stopped: ${what}. Its layers run on the processor now; reload the page to try the GPU again.`,
    )
    tell(problem)
    return problem
  }
  void device.lost.then(({ message }) => {
    if (!isClosed) fail(message || 'the browser took it away')
  })
  // What no error scope catches may have left numbers wrong.
  device.addEventListener('uncapturederror', ({ error }) => {
    if (!isClosed) fail(error.message)
  })

  /** What the device says once it is lost explains nothing. */
  async function orProblem<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (thrown) {
      throw problem ?? thrown
    }
  }

  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = turn.then(act)
    turn = result.catch(() => {})
    return result
  }

  return {
    name,
    device,
    lost,
    problem: () => problem,
    fail,
    heldBytes: () => [...held].reduce((sum, { size }) => sum + size, 0),

    async session(model, outputs = 'cpu') {
      const create = () =>
        InferenceSession.create(model, {
          executionProviders: [{ name: 'webgpu', device }],
          preferredOutputLocation: outputs,
          logSeverityLevel: 3,
          // A step that only the processor knows would cost two copies in each run, and nobody would notice.
          extra: { session: { disable_cpu_ep_fallback: '1' } },
        })
      const session = await orProblem(inTurn(create))
      const run = session.run.bind(session) as (...args: unknown[]) => ReturnType<InferenceSession['run']>
      return Object.assign(session, { run: (...args: unknown[]) => orProblem(inTurn(() => run(...args))) })
    },

    tensor: (buffer, type, dims) => Tensor.fromGpuBuffer(buffer, { dataType: type, dims: [...dims] }),
    number: (value) => new Tensor('int32', Int32Array.of(value), [1]),

    async buffer(byteLength) {
      const size = rounded(byteLength)
      if (size > device.limits.maxStorageBufferBindingSize) throw tooMuch(name, size)
      device.pushErrorScope('out-of-memory')
      const buffer = device.createBuffer({ size, usage: tensorUsage })
      if (await device.popErrorScope()) throw tooMuch(name, size)
      if (problem) throw problem
      held.add(buffer)
      return buffer
    },

    free(buffer) {
      held.delete(buffer)
      buffer.destroy()
    },

    write(buffer, bytes, offset = 0) {
      device.queue.writeBuffer(buffer, offset, bytes as Uint8Array<ArrayBuffer>)
    },

    async read(buffer, byteLength = buffer.size) {
      const staging = device.createBuffer({
        size: rounded(byteLength),
        usage: mapReadUsage | copyDstUsage,
      })
      const encoder = device.createCommandEncoder()
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, Math.ceil(byteLength / 4) * 4)
      device.queue.submit([encoder.finish()])
      try {
        await orProblem(staging.mapAsync(mapRead))
        return new Uint8Array(staging.getMappedRange().slice(0, byteLength))
      } finally {
        staging.destroy()
      }
    },

    idle: () => orProblem(device.queue.onSubmittedWorkDone()),

    close() {
      isClosed = true
      device.destroy()
    },
  }
}

const tooMuch = (name: string, bytes: number) =>
  new EngineError(
    'out-of-memory',
    `The GPU of this device (${name}) has no room for ${(bytes / 1e6).toFixed(1)} MB at once. Give the GPU less under Settings.`,
  )
