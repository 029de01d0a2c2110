import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: 'esinfer-testing/global-setup',
    include: ['*.test.js'],
    fileParallelism: true,
    testTimeout: 30_000, // a server may take seconds to start where much else runs,
  },
})
