// What was asked of a namespace; an assertion that shows what came nearest.
import { AssertionError } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'

const ALL = 1_000_000

export class Journal {
  #send

  /** @param {import('./namespace.js').Send} request */
  constructor(request) {
    this.#send = request
  }

  /** @param {Record<string, any>} [filters] */
  async list(filters = {}) {
    const given = Object.entries(filters).filter(([, value]) => value !== undefined)
    const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
    return (await this.#send('GET', `/_esinfer/journal?${query}`)).entries
  }

  /** @param {Record<string, any>} [filters] */
  async find(filters = {}) {
    return (await this.list({ ...filters, size: 1 }))[0]
  }

  async clear() {
    await this.#send('DELETE', '/_esinfer/journal')
  }

  /** @param {Record<string, any>} wanted */
  async assertRequest(wanted) {
    const { times, ...criteria } = wanted
    for (const name of Object.keys(criteria)) {
      if (!(name in SEEN)) throw new TypeError(`assertRequest knows no [${name}]`)
    }
    const entries = await this.list({ size: ALL })
    const fitting = entries.filter((/** @type {any} */ entry) => !differences(entry, criteria).length)
    if (times === undefined ? fitting.length : fitting.length === times) return fitting.at(-1)
    throw new AssertionError({
      message: failure(entries, fitting, criteria, times),
      actual: fitting.length,
      expected: times ?? 1,
      operator: 'assertRequest',
    })
  }
}

/** What each criterion looks at. @type {Record<string, (entry: any) => unknown>} */
const SEEN = {
  method: (entry) => entry.request.method,
  path: (entry) => entry.request.path,
  inference_id: (entry) => entry.inference_id,
  task_type: (entry) => entry.task_type,
  status: (entry) => entry.answer?.status,
  text: (entry) => entry.request.body,
  body: (entry) => entry.request.body,
}

/** What may be said otherwise than by an equal value. @type {Record<string, (seen: any, wanted: any) => boolean>} */
const FITS = {
  method: (seen, wanted) => seen === wanted.toUpperCase(),
  path: (seen, wanted) => pattern(wanted).test(seen),
  text: (seen, wanted) => texts(seen).some((text) => text.includes(wanted)),
  body: contains,
}

/**
 * The criteria that an entry does not meet.
 * @param {any} entry
 * @param {Record<string, any>} criteria
 */
function differences(entry, criteria) {
  return Object.entries(criteria)
    .map(([name, wanted]) => ({ name, wanted, seen: SEEN[name](entry) }))
    .filter(({ name, wanted, seen }) => !(FITS[name] ?? isDeepStrictEqual)(seen, wanted))
}

/** @param {string} path */
function pattern(path) {
  const escaped = path.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('.*')}$`, 's')
}

/**
 * Every text in a JSON value.
 * @param {unknown} value
 * @returns {string[]}
 */
function texts(value) {
  if (typeof value === 'string') return [value]
  if (value === null || typeof value !== 'object') return []
  return Object.values(value).flatMap(texts)
}

/**
 * Whether a value has all that is wanted of it; members that are not named do not matter.
 * @param {any} seen
 * @param {any} wanted
 * @returns {boolean}
 */
function contains(seen, wanted) {
  if (wanted === null || typeof wanted !== 'object' || Array.isArray(wanted)) {
    return isDeepStrictEqual(seen, wanted)
  }
  if (seen === null || typeof seen !== 'object') return false
  return Object.entries(wanted).every(([name, value]) => contains(seen[name], value))
}

/**
 * @param {any[]} entries
 * @param {any[]} fitting
 * @param {Record<string, any>} criteria
 * @param {number | undefined} times
 */
function failure(entries, fitting, criteria, times) {
  const wanted = JSON.stringify(criteria)
  if (fitting.length || times === 0) {
    const numbers = fitting.map(({ sequence }) => sequence).join(', ')
    return `${times} requests were expected that fit ${wanted}, there are ${fitting.length}: ${numbers}`
  }
  if (!entries.length) return `no request fits ${wanted}: there was none at all`
  const near = nearest(entries, criteria)
  const lines = differences(near, criteria).map(
    ({ name, wanted: want, seen }) =>
      `  ${name}: ${JSON.stringify(want)} was expected, it is ${JSON.stringify(seen)}`,
  )
  const { method, path } = near.request
  const about = `request ${near.sequence}, ${method} ${path}, answered ${near.answer?.status}`
  return [`none of ${entries.length} requests fits ${wanted}`, `nearest is ${about}:`, ...lines].join('\n')
}

/**
 * The entry that differs least, the newest of them.
 * @param {any[]} entries
 * @param {Record<string, any>} criteria
 */
function nearest(entries, criteria) {
  const count = (/** @type {any} */ entry) => differences(entry, criteria).length
  return entries.reduce((best, entry) => (count(entry) <= count(best) ? entry : best))
}
