// What is private to a test: endpoints, faults, stubs, journal and clock under /_ns/<name>.
import { EsinferError, send } from './http.js'
import { Journal } from './journal.js'

export class Namespace {
  #place

  /** @param {() => {root: string, name: string}} place - asked each time, as hooks change it */
  constructor(place) {
    this.#place = place
    /** @type {Send} */
    const request = (method, path, body) => send(method, this.url + path, body)
    this.request = request
    this.faults = new Faults(request)
    this.journal = new Journal(request)
    this.clock = new Clock(request)
    this.stubs = new Stubs(request)
  }

  get name() {
    return this.#place().name
  }

  get url() {
    const { root, name } = this.#place()
    return `${root}/_ns/${name}`
  }

  /**
   * @param {string} id
   * @param {Record<string, any>} [config]
   */
  endpoint(id, { task_type = 'text_embedding', service_settings = {}, ...rest } = {}) {
    const settings = { url: 'https://example.com', api_key: 'hf_any', ...service_settings }
    const body = { service: 'hugging_face', service_settings: settings, ...rest }
    return this.request('PUT', `/_inference/${part(task_type)}/${part(id)}`, body)
  }

  /**
   * @param {string} name
   * @param {unknown} stub
   */
  stub(name, stub) {
    return this.stubs.put(name, stub)
  }

  /**
   * @param {string} one
   * @param {string} other
   * @param {number} cosine
   */
  similar(one, other, cosine) {
    return this.request('POST', '/_esinfer/similarities', { similarities: [[one, other, cosine]] })
  }

  async reset() {
    await this.request('POST', '/_esinfer/reset')
  }

  async drop() {
    const { root, name } = this.#place()
    try {
      await send('DELETE', `${root}/_esinfer/namespaces/${name}`)
    } catch (error) {
      // It is made by its first request: one that nothing was asked of is not there.
      if (!(error instanceof EsinferError && error.status === 404)) throw error
    }
  }
}

/** @typedef {(method: string, path: string, body?: unknown) => Promise<any>} Send */

class Faults {
  #send

  /** @param {Send} request */
  constructor(request) {
    this.#send = request
  }

  /** @param {string} upstream */
  async list(upstream = 'default') {
    return (await this.#send('GET', upstreamPath(upstream))).faults
  }

  /** @param {...Record<string, any>} faults */
  add(...faults) {
    return this.addTo('default', ...faults)
  }

  /**
   * @param {string} upstream
   * @param {...Record<string, any>} faults
   */
  async addTo(upstream, ...faults) {
    const { name, faults: shown, ...settings } = await this.#send('GET', upstreamPath(upstream))
    const before = shown.map((/** @type {any} */ { hits, ...fault }) => fault)
    return this.#send('PUT', upstreamPath(name), { ...settings, faults: [...before, ...faults] })
  }

  /**
   * @param {Record<string, any>} settings
   * @param {string} upstream
   */
  set(settings, upstream = 'default') {
    return this.#send('PUT', upstreamPath(upstream), settings)
  }

  /** @param {string} upstream */
  async log(upstream = 'default') {
    return (await this.#send('GET', `${upstreamPath(upstream)}/log`)).exchanges
  }

  async clear() {
    await this.#send('DELETE', '/_esinfer/upstreams')
  }
}

class Stubs {
  #send

  /** @param {Send} request */
  constructor(request) {
    this.#send = request
  }

  /**
   * @param {string} name
   * @param {unknown} stub
   */
  put(name, stub) {
    return this.#send('PUT', `/_esinfer/stubs/${part(name)}`, stub)
  }

  async list() {
    return (await this.#send('GET', '/_esinfer/stubs')).stubs
  }

  async clear() {
    await this.#send('DELETE', '/_esinfer/stubs')
  }
}

class Clock {
  #send

  /** @param {Send} request */
  constructor(request) {
    this.#send = request
  }

  get() {
    return this.#send('GET', '/_esinfer/clock')
  }

  /** @param {number | string} duration */
  advance(duration) {
    const advance = typeof duration === 'number' ? `${duration}ms` : duration
    return this.#send('POST', '/_esinfer/clock', { advance })
  }

  /** @param {string} mode */
  mode(mode) {
    return this.#send('POST', '/_esinfer/clock', { mode })
  }
}

/** @param {string} name */
function upstreamPath(name) {
  return `/_esinfer/upstreams/${part(name)}`
}

/** @param {string} text */
function part(text) {
  return encodeURIComponent(text)
}
