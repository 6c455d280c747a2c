export { EngineError } from './errors.ts'
export type * from './page/cluster.ts'
export { createCluster } from './page/create-cluster.ts'
export type {
  ChatEvent,
  ChatMessage,
  DeviceView,
  GenerateOptions,
  GenerateStats,
  RoomView,
} from './protocol.ts'
