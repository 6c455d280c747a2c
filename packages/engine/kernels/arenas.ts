// What an instance of the kernels asks of its siblings: the instances of the same thread over other arenas. Imported as
// the module "arenas" (src/backend/wasm-instances.ts).

/** announceFor() of the instance over arena 0. */
export declare function announce(arena: i32): i32

/** joinThreads() of the instance over arena 0. */
export declare function join(): i32

/** takePart() of the instance over another arena. */
export declare function takePart(arena: i32, thread: i32): void
