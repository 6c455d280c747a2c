/**
 * Which browser features this device lacks, and what that means for a person.
 *
 * @module
 */
import { hasSimd } from '../simd.ts'
import type { MissingFeature } from './cluster.ts'

export async function missingFeatures(): Promise<MissingFeature[]> {
  const missing: MissingFeature[] = []
  const lacks = (feature: MissingFeature['feature'], severity: MissingFeature['severity'], message: string) =>
    missing.push({ feature, severity, message })

  if (!isSecureContext) {
    lacks(
      'secure-context',
      'blocks',
      'This page came over plain http, where browsers switch off storage, encryption and threads. Open it as https://…, ' +
        'or as http://localhost on the machine that runs Hearth.',
    )
    return missing
  }
  if (!('storage' in navigator && 'getDirectory' in navigator.storage)) {
    lacks(
      'opfs',
      'blocks',
      'This browser has no private file storage (OPFS), where the model is kept. Update the browser.',
    )
  } else if (!(await opensStorage())) {
    lacks(
      'opfs',
      'blocks',
      'The browser refuses to open its file storage (OPFS). Private windows do that in some browsers, and all do where ' +
        'sites may not keep data: use a normal window, and allow this site to keep data.',
    )
  }
  if (!connects()) {
    lacks(
      'webrtc',
      'slows',
      'WebRTC is switched off or blocked, so this device cannot reach the others and can only work alone. Allow it in ' +
        'the browser’s settings or extensions.',
    )
  }
  if (!('WebAssembly' in globalThis && hasSimd())) {
    lacks(
      'wasm-simd',
      'slows',
      'This browser has no WebAssembly SIMD; answers come six to ten times slower. Update the browser.',
    )
  }
  if (!crossOriginIsolated) {
    lacks(
      'cross-origin-isolation',
      'slows',
      'The page is not cross-origin isolated, so only one processor core can be used. Open it from its own server, not ' +
        'inside another page.',
    )
  }
  if (!('gpu' in navigator)) {
    lacks('webgpu', 'slows', 'This browser has no WebGPU. Hearth computes on the processor.')
  }
  return missing
}

/** Extensions and policies remove the constructor or let it throw. */
function connects(): boolean {
  try {
    new RTCPeerConnection().close()
    return true
  } catch {
    return false
  }
}

async function opensStorage(): Promise<boolean> {
  try {
    // Where sites may not keep data, the mere sight of it throws.
    localStorage.getItem('')
    await navigator.storage.getDirectory()
    return true
  } catch {
    return false
  }
}

/**
 * How much memory a device offers until a person says otherwise: careful, never found out by failing, since browsers
 * do not refuse in time (peers: 64 GB were granted on a 16 GB machine).
 */
export function defaultMemoryBudget(device: DeviceHints = navigator): number {
  const { deviceMemory } = device
  const mostGibibytes = isMobile(device) ? 1 : deviceMemory === undefined ? 2 : 3.5
  return Math.min(mostGibibytes, (deviceMemory ?? Infinity) / 2) * 2 ** 30
}

/**
 * The same of the GPU's memory. WebGPU refuses nothing either, nor does it say whether a GPU shares the device's memory, as
 * most do: so a quarter as much again, and nothing on phones, where pages that take too much are ended without a word.
 */
export const defaultGpuBudget = (device: DeviceHints = navigator): number =>
  isMobile(device) ? 0 : defaultMemoryBudget(device) / 4

/** iPads say that they are Macs (iPadOS 13), which have no touch screens. */
const isMobile = ({ userAgent, maxTouchPoints }: DeviceHints): boolean =>
  /Android|iPhone|iPad|Mobile/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1)

/** `deviceMemory`: GiB in powers of two, 8 at most (W3C Device Memory §2); Chromium only. */
type DeviceHints = { userAgent: string; maxTouchPoints: number; deviceMemory?: number }
