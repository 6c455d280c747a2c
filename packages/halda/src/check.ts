/**
 * Whether measured profiles can be planned with. Profiles come from other people's devices and from files, so nothing
 * about them is believed before it was looked at, their types included.
 *
 * @module
 */

/** Most devices the planner takes: twice what a room admits. */
export const maxDevices = 64
/** Most layers of a model: eight times those of the largest open model known. */
export const maxLayers = 1024
/** Four tebibytes. Sums of 1,024 layers stay whole numbers in a double. */
const maxBytes = 2 ** 42
/** From a byte per second, which no device is slower than, to a thousand times the fastest accelerator's memory. */
const [minBytesPerSec, maxBytesPerSec] = [1, 1e16]
/** An hour: a device this far away is not in the house. */
const maxHopMs = 3_600_000

/** @returns a sentence naming device and field, or null when every profile can be planned with */
export function checkProfiles(devices: unknown, model: unknown): string | null {
  if (!Array.isArray(devices)) return 'The device profiles are missing: "devices" must be a list of profiles.'
  if (devices.length > maxDevices) {
    return `There are ${devices.length} devices; the planner takes ${maxDevices} at most. Leave some out.`
  }
  const seen = new Set<unknown>()
  for (const [index, device] of devices.entries()) {
    const problem = checkDevice(device, index)
    if (problem !== null) return problem
    const id: unknown = device.device
    if (seen.has(id)) return `The device ${id} is listed twice; every device has one profile.`
    seen.add(id)
  }
  return checkModel(model)
}

/**
 * One device's profile; a caller may leave out the devices that do not pass and plan with the others.
 *
 * @param index names a device that does not say its id
 * @returns a sentence naming device and field, or null
 */
export function checkDevice(profile: unknown, index = 0): string | null {
  if (!isRecord(profile)) return `The profile of device number ${index + 1} is not an object.`
  const { device } = profile
  if (typeof device !== 'string' || device === '') {
    return `The profile of device number ${index + 1} does not say whose it is: device ${found(device)}.`
  }
  const rate = within('bytes per second', minBytesPerSec, maxBytesPerSec)
  const problem =
    checkNumber('memoryBytes', profile['memoryBytes'], within('bytes', 1, maxBytes)) ??
    checkRecord('weightBytesPerSec', profile['weightBytesPerSec'], rate) ??
    checkNotEmpty('weightBytesPerSec', profile['weightBytesPerSec']) ??
    checkNumber('diskReadBytesPerSec', profile['diskReadBytesPerSec'], rate) ??
    checkRecord('hopMs', profile['hopMs'], within('ms', 0, maxHopMs)) ??
    checkNumber('defaultHopMs', profile['defaultHopMs'], within('ms', 0, maxHopMs)) ??
    checkOptional(profile)
  return problem && `The profile of ${device} cannot be used: ${problem}. Measure that device again.`
}

/** What a device may leave out, but not get wrong. @returns what is wrong, or null */
function checkOptional(profile: Record<string, unknown>): string | null {
  const rate = within('bytes per second', minBytesPerSec, maxBytesPerSec)
  const ms = within('ms', 0, maxHopMs)
  const numbers: Record<string, Rule> = {
    layerFixedMs: ms,
    kvAppendMs: ms,
    headFixedMs: ms,
    kvReadBytesPerSec: rate,
    diskWriteBytesPerSec: rate,
    downloadBytesPerSec: rate,
  }
  for (const [field, rule] of Object.entries(numbers)) {
    const problem = profile[field] === undefined ? null : checkNumber(field, profile[field], rule)
    if (problem !== null) return problem
  }
  const { prefillBytesPerSec, hops, gpu } = profile
  return (
    (prefillBytesPerSec === undefined ? null : checkRecord('prefillBytesPerSec', prefillBytesPerSec, rate)) ??
    (hops === undefined ? null : checkHops(hops)) ??
    (gpu === undefined ? null : checkGpu(gpu))
  )
}

/** Of what was measured of the hops, the planner uses the time of a chunk. */
function checkHops(hops: unknown): string | null {
  if (!isRecord(hops)) return `hops ${found(hops)}, not a table`
  for (const [device, times] of Object.entries(hops)) {
    const chunkMs = isRecord(times) ? times['chunkMs'] : undefined
    const problem = checkNumber(`hops.${device}.chunkMs`, chunkMs, within('ms', 0, maxHopMs))
    if (problem !== null) return problem
  }
  return null
}

function checkGpu(gpu: unknown): string | null {
  if (!isRecord(gpu)) return `gpu ${found(gpu)}, not an object`
  const rate = within('bytes per second', minBytesPerSec, maxBytesPerSec)
  return (
    checkNumber('gpu.memoryBytes', gpu['memoryBytes'], within('bytes', 1, maxBytes)) ??
    checkRecord('gpu.weightBytesPerSec', gpu['weightBytesPerSec'], rate) ??
    checkNotEmpty('gpu.weightBytesPerSec', gpu['weightBytesPerSec']) ??
    (gpu['prefillBytesPerSec'] === undefined
      ? null
      : checkRecord('gpu.prefillBytesPerSec', gpu['prefillBytesPerSec'], rate)) ??
    checkNumber('gpu.copyMs', gpu['copyMs'], within('ms', 0, maxHopMs))
  )
}

/** @returns a sentence naming the field, or null */
export function checkModel(model: unknown): string | null {
  if (!isRecord(model)) return 'The model profile is missing: "model" must be an object.'
  const name = typeof model['name'] === 'string' ? model['name'] : 'the model'
  const problem =
    checkText('name', model['name']) ??
    checkNumber('nLayers', model['nLayers'], whole('layers', 1, maxLayers)) ??
    checkNumber('dim', model['dim'], whole('numbers', 1, 65_535)) ??
    checkLayerBytes(model['layerBytes'], model['nLayers']) ??
    checkRecord('outputBytes', model['outputBytes'], whole('bytes', 0, maxBytes)) ??
    checkNumber('embeddingBytes', model['embeddingBytes'], whole('bytes', 0, maxBytes)) ??
    (typeof model['tiedOutput'] === 'boolean'
      ? null
      : `tiedOutput ${found(model['tiedOutput'])}, not a yes or no`) ??
    checkNumber('kvBytesPerPosition', model['kvBytesPerPosition'], whole('bytes', 0, 2 ** 24)) ??
    checkNumber('contextLength', model['contextLength'], whole('positions', 1, 2 ** 24)) ??
    (model['bufferBytes'] === undefined
      ? null
      : checkNumber('bufferBytes', model['bufferBytes'], whole('bytes', 0, maxBytes))) ??
    (model['headDim'] === undefined
      ? null
      : checkNumber('headDim', model['headDim'], whole('numbers', 1, 65_535)))
  return problem && `The profile of ${name} cannot be used: ${problem}.`
}

type Rule = { says: string; holds: (value: number) => boolean }

const within = (unit: string, min: number, max: number): Rule => ({
  says: `a number of ${unit} from ${min} to ${max}`,
  holds: (value) => value >= min && value <= max,
})
const whole = (unit: string, min: number, max: number): Rule => ({
  says: `a whole number of ${unit} from ${min} to ${max}`,
  holds: (value) => Number.isInteger(value) && value >= min && value <= max,
})

function checkNumber(field: string, value: unknown, rule: Rule): string | null {
  if (typeof value === 'number' && rule.holds(value)) return null
  return `${field} ${found(value)}, not ${rule.says}`
}

function checkRecord(field: string, value: unknown, rule: Rule): string | null {
  if (!isRecord(value)) return `${field} ${found(value)}, not a table of numbers`
  for (const [key, entry] of Object.entries(value)) {
    const problem = checkNumber(`${field}.${key}`, entry, rule)
    if (problem !== null) return problem
  }
  return null
}

const checkNotEmpty = (field: string, value: unknown): string | null =>
  isRecord(value) && Object.keys(value).length === 0 ? `${field} names no weight type` : null

const checkText = (field: string, value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? null : `${field} ${found(value)}, not a text`

function checkLayerBytes(layers: unknown, nLayers: unknown): string | null {
  if (!Array.isArray(layers)) return `layerBytes ${found(layers)}, not a list`
  if (layers.length !== nLayers) return `layerBytes has ${layers.length} entries, but nLayers is ${nLayers}`
  for (const [layer, bytes] of layers.entries()) {
    const problem = checkRecord(`layerBytes[${layer}]`, bytes, whole('bytes', 0, maxBytes))
    if (problem !== null) return problem
  }
  return null
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function found(value: unknown): string {
  if (value === undefined) return 'is missing'
  if (typeof value === 'number') return `is ${value}`
  return `is ${(JSON.stringify(value) ?? typeof value).slice(0, 40)}`
}
