/**
 * The engine's state as a Solid store. The only file of the app that imports the engine.
 *
 * @module
 */
import { createCluster, EngineError, type Cluster, type ClusterState } from '@hearth/engine'
import { onCleanup } from 'solid-js'
import { createStore, reconcile } from 'solid-js/store'
import type { Overrides } from './overrides.ts'

export type {
  Abilities,
  ChatEvent,
  ChatMessage,
  Cluster,
  ClusterState,
  Connection,
  CreateClusterOptions,
  DeviceView,
  GenerateStats,
  MissingFeature,
  OfferedModel,
  Readiness,
  RoomView,
  StorageView,
  StoredModel,
} from '@hearth/engine'
export type { DeviceId } from '@hearth/halda'

declare global {
  interface Window {
    /** The same cluster that the page shows, for the console and for test harnesses. */
    hearth?: Cluster
  }
}

/** Starts this device, in the room that the address names or in a new one. */
export async function openCluster(overrides: Overrides): Promise<Cluster> {
  const cluster = await createCluster({
    location: { href: window.location.href, origin: window.location.origin },
    setFragment: (fragment) => history.replaceState(history.state, '', `#${fragment.replace(/^#/, '')}`),
    ...overrides.cluster,
  })
  if (overrides.name !== null) cluster.rename(overrides.name)
  window.hearth = cluster
  return cluster
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
