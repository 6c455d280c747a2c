/**
 * What this browser remembers of its device between visits, besides who it is (`device-id.ts`).
 *
 * @module
 */
import { maxNameChars, type RoomId } from '../protocol.ts'

const nameKey = 'hearth.name'
const budgetKey = 'hearth.memoryBudgetBytes'
const gpuBudgetKey = 'hearth.gpuBudgetBytes'
/** The room this profile was last in: its devices may open it again after a restart of the server. */
const roomKey = 'hearth.room'

/** The room whose programs this profile lets in; no other one's, as it is asked for each. */
const doorKey = 'hearth.door'

export type Remembered = ReturnType<typeof createRemembered>

/** @param storage null where the browser keeps nothing */
export const createRemembered = (storage: Storage | null) => ({
  name: (): string | null => nameFrom(storage?.getItem(nameKey) ?? ''),
  keepName: (name: string): void => storage?.setItem(nameKey, name),
  memoryBudgetBytes(): number | null {
    const bytes = Number(storage?.getItem(budgetKey))
    return bytes > 0 ? bytes : null
  },
  keepMemoryBudget: (bytes: number): void => storage?.setItem(budgetKey, String(bytes)),
  gpuBudgetBytes(): number | null {
    const text = storage?.getItem(gpuBudgetKey) ?? ''
    const bytes = Number(text)
    return text !== '' && bytes >= 0 ? bytes : null
  },
  keepGpuBudget: (bytes: number): void => storage?.setItem(gpuBudgetKey, String(bytes)),
  wasIn: (room: RoomId): boolean => storage?.getItem(roomKey) === room,
  keepRoom: (room: RoomId): void => storage?.setItem(roomKey, room),
  isDoorOf: (room: RoomId): boolean => storage?.getItem(doorKey) === room,
  keepDoor: (room: RoomId, isOpen: boolean): void =>
    isOpen ? storage?.setItem(doorKey, room) : storage?.removeItem(doorKey),
})

/** As the protocol takes it; null when nothing is left of it. */
export const nameFrom = (text: string): string | null => text.trim().slice(0, maxNameChars).trim() || null
