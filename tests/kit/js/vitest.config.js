import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: 'esinfer-testing/global-setup',
    include: ['*.test.js'],
    fileParallelism: true,
    testTimeout: 10_000,
  },
})
