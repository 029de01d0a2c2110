// `globalSetup` of vitest: one server for all test files, told to them by ESINFER_URL.
import { startEsinfer } from './server.js'

export default async function setup() {
  const server = await startEsinfer()
  process.env.ESINFER_URL = server.url
  return async () => {
    delete process.env.ESINFER_URL
    await server.stop()
  }
}
