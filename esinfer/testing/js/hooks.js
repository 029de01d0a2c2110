// For vitest and jest: one server, and a namespace for each test.
import { randomUUID } from 'node:crypto'
import { Namespace } from './namespace.js'
import { connectEsinfer, startEsinfer } from './server.js'

/** @param {import('./index.js').StartOptions} [options] */
async function obtain(options) {
  const url = process.env.ESINFER_URL // see global-setup.js
  return url ? connectEsinfer(url) : startEsinfer(options)
}

/** @param {import('./index.js').UseOptions} [options] */
export function useEsinfer({ beforeAll, afterAll, beforeEach, afterEach, ...options } = {}) {
  const hooks = { beforeAll, afterAll, beforeEach, afterEach }
  const [all, none, each, leave] = Object.entries(hooks).map(([name, hook]) => hookOf(name, hook))
  /** @type {any} */
  let server
  /** @type {{root: string, name: string} | undefined} */
  let place
  const namespace = new Namespace(() => {
    if (place === undefined) throw new Error('useEsinfer: a namespace is there only while a test runs')
    return place
  })
  all(async () => {
    server = await obtain(options)
  }, (options.timeout ?? 15_000) + 5_000)
  each(() => {
    place = { root: server.url, name: `js-${randomUUID()}` }
  })
  leave(async () => {
    await namespace.drop()
    place = undefined
  })
  none(() => server?.stop())
  return namespace
}

/**
 * @param {string} name
 * @param {any} given
 */
function hookOf(name, given) {
  const hook = given ?? /** @type {any} */ (globalThis)[name]
  if (typeof hook !== 'function') {
    throw new TypeError(`useEsinfer: there is no global [${name}]; import it and pass it`)
  }
  return hook
}

/** @type {Promise<any> | undefined} */
let shared

/**
 * @param {object} _fixtures - none; vitest insists on an object pattern
 * @param {(namespace: Namespace) => Promise<void>} use
 */
export async function esinferFixture({}, use) {
  shared ??= obtain()
  const namespace = (await shared).namespace()
  try {
    await use(namespace)
  } finally {
    await namespace.drop()
  }
}
