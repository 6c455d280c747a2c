/**
 * Where vite's development server has a file of the repository.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'

export const viteUrl = (file: URL): string => `/@fs${fileURLToPath(file).replace(/^(?!\/)/, '/')}`
