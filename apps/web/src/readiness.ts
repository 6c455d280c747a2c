/**
 * What stands between the room and a chat, in words.
 *
 * @module
 */
import type { ClusterState } from './cluster.ts'
import { bytesInWords, namesInWords } from './words.ts'

export type ReadinessWords = {
  /** A few words for the header. */
  short: string
  /** Above the empty chat. */
  title: string
  /** A sentence: what is, and what a person can do. */
  sentence: string
}

export function readinessInWords(
  state: Pick<ClusterState, 'readiness' | 'room' | 'connection'>,
): ReadinessWords {
  const { readiness, room, connection } = state
  if (!room) return entryInWords(connection)
  const nameOf = (device: string) =>
    room.devices.find((view) => view.device === device)?.name ?? 'a device that left'
  switch (readiness.phase) {
    case 'no-model':
      return {
        short: 'No model yet',
        title: 'No model yet',
        sentence: 'Choose a model for this room, and it will be ready to chat.',
      }
    case 'planning':
      return { short: 'Planning', title: 'Sharing out the work', sentence: readiness.message }
    case 'no-plan':
      return { short: 'Does not fit', title: 'This model does not fit', sentence: readiness.message }
    case 'loading': {
      const { loadedBytes, totalBytes } = readiness
      const percent = totalBytes > 0 ? Math.floor((100 * loadedBytes) / totalBytes) : 0
      return {
        short: `Loading ${percent} %`,
        title: 'Warming up',
        sentence: `The devices are loading their layers: ${bytesInWords(loadedBytes)} of ${bytesInWords(totalBytes)}.`,
      }
    }
    case 'connecting':
      return {
        short: 'Connecting',
        title: 'Warming up',
        sentence: 'The devices are connecting to each other.',
      }
    case 'waiting': {
      const names = readiness.for.map(nameOf)
      return {
        short: 'Waiting',
        title: 'Somebody is missing',
        sentence: `Waiting for ${names.length > 0 ? namesInWords(names) : 'a device'} to come back.`,
      }
    }
    case 'ready':
      return { short: 'Ready', title: 'What shall we talk about?', sentence: 'The room is ready to chat.' }
    case 'failed':
      return {
        short: 'Failed',
        title: 'A device could not go on',
        sentence: `${nameOf(readiness.device)}: ${readiness.message}`,
      }
  }
}

function entryInWords({ phase }: ClusterState['connection']): ReadinessWords {
  if (phase === 'refused')
    return { short: 'Not let in', title: 'Not let in', sentence: 'The room did not let this device in.' }
  if (phase === 'offline')
    return {
      short: 'Out of reach',
      title: 'The server is out of reach',
      sentence:
        'Is the machine that runs Hearth switched on, and this device in the same network? The page goes on by itself as soon as the server answers.',
    }
  return { short: 'Entering', title: 'Entering the room', sentence: 'Waiting for the server to answer.' }
}
