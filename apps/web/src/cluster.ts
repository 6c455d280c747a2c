/**
 * The engine's state as a Solid store. The only file of the app that imports the engine.
 *
 * @module
 */
import { createCluster, EngineError, type Cluster, type ClusterState } from '@hearth/engine'
import { onCleanup } from 'solid-js'
import { createStore, reconcile } from 'solid-js/store'
import type { Overrides } from './overrides.ts'
import type { RememberedRoom } from './remembered-room.ts'

export type {
  AnswerEvent,
  ChatMessage,
  Cluster,
  ClusterState,
  Connection,
  CreateClusterOptions,
  DeviceView,
  GenerateOptions,
  GenerateStats,
  OfferedModel,
  Readiness,
  RoomView,
} from '@hearth/engine'
export type { DeviceId, HopTimes, PlanRequest, Slowdown } from '@hearth/halda'

declare global {
  interface Window {
    /** The same cluster that the page shows, for the console and for test harnesses. */
    hearth?: Cluster
  }
}

/**
 * Starts this device, in the room that the address names, else in the room it was in last: who opens Hearth from the
 * home screen brings no link. Else in a new one.
 */
export async function openCluster(overrides: Overrides, room: RememberedRoom): Promise<Cluster> {
  const { origin, pathname, search, hash } = window.location
  const fragment = hash === '' ? room.fragment() : hash
  const cluster = await createCluster({
    location: { href: `${origin}${pathname}${search}${fragment}`, origin },
    setFragment: showFragment,
    ...overrides.cluster,
  })
  if (hash === '' && fragment !== '') showFragment(fragment)
  cluster.subscribe(({ joinLink }) => {
    if (joinLink !== null) room.remember(new URL(joinLink).hash)
  })
  if (overrides.name !== null) cluster.rename(overrides.name)
  window.hearth = cluster
  return cluster
}

/** Into the address bar, so that a reload comes back to the same room. Not a navigation: nothing loads. */
function showFragment(fragment: string): void {
  history.replaceState(history.state, '', `#${fragment.replace(/^#/, '')}`)
}

/**
 * Follows a cluster for as long as the calling component lives. Lists keep their elements' identity from one state to
 * the next, so that a progress bar moves instead of being drawn anew.
 */
export function followCluster(cluster: Cluster): ClusterState {
  const [state, setState] = createStore(copyOf(cluster.state()))
  onCleanup(cluster.subscribe((next) => setState(reconcile(copyOf(next), { key: 'device' }))))
  return state
}

/** The store writes into what it is given; the engine's own objects must not change under its hands. */
function copyOf({ problem, ...plain }: ClusterState): ClusterState {
  return { ...structuredClone(plain), problem }
}

/** What a person reads of anything thrown by a call to the cluster. */
export const sentenceOf = (thrown: unknown): string =>
  thrown instanceof EngineError
    ? thrown.message
    : `Something went wrong inside Hearth: ${thrown instanceof Error ? thrown.message : String(thrown)}`
