import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['packages/**/*.test.ts', 'apps/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 20_000,
    // Vitest leaves a core to its watcher; of two cores that is half.
    maxWorkers: '100%',
  },
})
