/**
 * How much one connection may send, so that one device out of step, or hostile, cannot drown the others.
 *
 * @module
 */
import type { FromDevice } from '@hearth/engine/protocol'

/**
 * Longest JSON of each part that ends up in a RoomView. A view of 32 devices must itself stay below
 * `maxMessageChars` (1,048,576), or nobody could read it: 262,144 + 196,608 + 32 × (12,288 + 4,096 + 800) = 1,008,640,
 * the 800 being a name, an id and the braces around them.
 */
const maxPartChars = { choice: 262_144, plan: 196_608, profile: 12_288, status: 4_096 }

const jsonChars = (part: unknown) => (part === undefined ? 0 : JSON.stringify(part).length)

/** Whether any part of the message is longer than a room's view has space for. */
export function tooLarge(message: FromDevice): boolean {
  switch (message.type) {
    case 'join':
      return (
        jsonChars(message.memory?.choice) > maxPartChars.choice ||
        jsonChars(message.memory?.numbered) > maxPartChars.plan ||
        jsonChars(message.profile) > maxPartChars.profile ||
        jsonChars(message.status) > maxPartChars.status
      )
    case 'choose':
      return jsonChars(message.choice) > maxPartChars.choice
    case 'profile':
      return jsonChars(message.profile) > maxPartChars.profile
    case 'status':
      return jsonChars(message.status) > maxPartChars.status
    default:
      return false
  }
}

/** A leaky bucket: `spent` drains at a steady rate; what would overflow it is too much. */
export type Bucket = { spent: number; atMs: number }

export type Rate = { burst: number; perSec: number }

/**
 * A device that joins a room of 32 signals to 31 others at once, about a dozen messages and 20 KB each.
 */
export const messageRate: Rate = { burst: 1_000, perSec: 100 }
export const charRate: Rate = { burst: 4_194_304, perSec: 262_144 }

export const emptyBucket = (atMs: number): Bucket => ({ spent: 0, atMs })

/** The bucket after `amount` more, or null when that is more than it holds. */
export function pour(bucket: Bucket, amount: number, atMs: number, rate: Rate): Bucket | null {
  const drained = Math.max(0, bucket.spent - ((atMs - bucket.atMs) * rate.perSec) / 1000)
  return drained + amount > rate.burst ? null : { spent: drained + amount, atMs }
}
