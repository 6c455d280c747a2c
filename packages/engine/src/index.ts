export { EngineError } from './errors.ts'
export type * from './page/cluster.ts'
