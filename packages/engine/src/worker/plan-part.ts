/**
 * What a plan means for one of its devices. Pure.
 *
 * @module
 */
import type { DeviceId, LayerWindow, Plan } from '@hearth/halda'
import type { NumberedPlan, RoomView } from '../protocol.ts'
import type { Holding } from './units.ts'

/** Everybody that hidden states pass through. */
export function ringDevices(plan: Plan): Set<DeviceId> {
  return new Set([plan.head, ...plan.windows.map(({ device }) => device)])
}

/** The layers that a device runs, in running order: the last of each window on its GPU. And whether it is the head. */
export function holdingOf(plan: Plan, me: DeviceId): Holding {
  const mine = plan.windows.filter(({ device }) => device === me)
  const span = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)
  const onProcessor = ({ layers, gpuLayers }: LayerWindow) => layers - gpuLayers
  return {
    layers: mine.flatMap((window) => span(window.firstLayer, onProcessor(window))),
    gpuLayers: mine.flatMap((window) => span(window.firstLayer + onProcessor(window), window.gpuLayers)),
    head: plan.head === me,
  }
}

/** Whom a device sends hidden states to. */
export function successorsOf(plan: Plan, me: DeviceId): DeviceId[] {
  const order = [plan.head, ...plan.windows.map(({ device }) => device), plan.head]
  return order.filter((device, i) => device !== me && order[i - 1] === me)
}

/** Names of the devices that are not ready to run this plan, as the server last told. */
export function notReady({ number, plan }: NumberedPlan, room: RoomView | null): string[] {
  return [...ringDevices(plan)].flatMap((id) => {
    const view = room?.devices.find(({ device }) => device === id)
    if (!view) return 'a device that left'
    const { status, presence, name } = view
    return presence === 'here' && status.phase === 'ready' && status.plan === number ? [] : name
  })
}
