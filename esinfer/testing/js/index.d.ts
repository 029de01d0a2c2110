/** esinfer in the tests of JavaScript: starts `esinfer mock` and speaks to it. */

type Json = Record<string, any>

export interface StartOptions {
  /**
   * The command, a path or the first words of one. Without it: the variable ESINFER, `esinfer`
   * on PATH, or `python3 -m esinfer` or `python -m esinfer`.
   */
  command?: string | readonly string[]
  /** More options of `esinfer mock`, such as `['--set', 'twin.dimensions=8']`. */
  args?: readonly string[]
  /** Beside the environment of this process. */
  env?: Record<string, string>
  /** 0, the default, is any free one. */
  port?: number
  /** Milliseconds that the start may take; 15,000 if not said. */
  timeout?: number
}

/** A server that runs. It ends with this process, if not before. */
export interface Server {
  readonly url: string
  /** A namespace, by default one that nobody else has. */
  namespace(name?: string): Namespace
  /** Returns when the process has ended. */
  stop(): Promise<void>
}

/** Starts `esinfer mock` and waits until it accepts connections; StartError if it does not. */
export function startEsinfer(options?: StartOptions): Promise<Server>
/** A server that runs already; its stop() leaves it running. */
export function connectEsinfer(url: string): Server

/** The server did not start; the message has the reason and its standard error. */
export class StartError extends Error {}

/** An answer that is no success. */
export class EsinferError extends Error {
  readonly status: number
  /** Such as `illegal_argument_exception`. */
  readonly type: string | undefined
  readonly reason: string
  readonly body: unknown
}

/** Endpoints, faults, stubs, journal and clock that nobody else sees. */
export class Namespace {
  private constructor()
  readonly name: string
  /** What the code under test gets as the address of Elasticsearch. */
  readonly url: string
  readonly faults: Faults
  readonly stubs: Stubs
  readonly journal: Journal
  readonly clock: Clock
  /**
   * Creates an inference endpoint; `config` is the body of PUT with the task type. What it does
   * not say: `text_embedding`, service `hugging_face`, any url and key.
   */
  endpoint(id: string, config?: EndpointConfig): Promise<Json>
  /** What the twin answers for some inputs: `{ match, answer, then, times }`. */
  stub(name: string, stub: Json): Promise<Json>
  /** Pins the cosine of the vectors of two texts. */
  similar(one: string, other: string, cosine: number): Promise<Json>
  /** All is as at the start. */
  reset(): Promise<void>
  /** Forgets it. */
  drop(): Promise<void>
  /** Any other request; the JSON of its answer, or EsinferError. */
  request(method: string, path: string, body?: unknown): Promise<any>
}

export interface EndpointConfig {
  task_type?: 'text_embedding' | 'sparse_embedding' | 'rerank' | 'completion' | 'chat_completion'
  service?: string
  service_settings?: Json
  task_settings?: Json
  chunking_settings?: Json
}

/** What goes wrong upstream; the README lists the kinds under "Let it fail". */
export interface Faults {
  /** More faults of the upstream `default`: `{ kind: 'overloaded', times: 2 }`. */
  add(...faults: Json[]): Promise<Json>
  /** More faults of a named upstream. Its `api_key` cannot be read, and is no longer asked for. */
  addTo(upstream: string, ...faults: Json[]): Promise<Json>
  /** All settings of an upstream: `state`, `faults`, `url`, … */
  set(settings: Json, upstream?: string): Promise<Json>
  /** The faults that are left, with `hits`. */
  list(upstream?: string): Promise<Json[]>
  /** What reached the upstream. */
  log(upstream?: string): Promise<Json[]>
  /** All upstreams are as at the start. */
  clear(): Promise<void>
}

export interface Stubs {
  put(name: string, stub: Json): Promise<Json>
  /** With `hits` and `calls`. */
  list(): Promise<Json[]>
  clear(): Promise<void>
}

export interface Filters {
  method?: string
  /** `*` is any text. */
  path?: string
  inference_id?: string
  task_type?: string
  status?: number
  /** Stands anywhere in the body. */
  text?: string
}

export interface Journal {
  /** The newest `size` requests that fit, 100 if not said, the newest last. */
  list(filters?: Filters & { since?: number; size?: number }): Promise<Entry[]>
  /** The newest that fits. */
  find(filters?: Filters): Promise<Entry | undefined>
  /**
   * The newest request that fits. If there is none, or not exactly `times`, an AssertionError
   * shows the nearest one and what differs. Of `body`, members that are not named do not matter.
   */
  assertRequest(wanted: Filters & { body?: unknown; times?: number }): Promise<Entry | undefined>
  clear(): Promise<void>
}

/** A request with all that it caused; times in seconds of the namespace's clock. */
export interface Entry {
  sequence: number
  time: number
  duration: number | null
  inference_id?: string
  task_type?: string
  request: { method: string; path: string; query: string; headers: Json; body: any }
  answer: { status: number; headers: Json; body: any } | null
  /** In queues of rate limits. */
  waited: number
  attempts: Json[]
}

export interface ClockState {
  mode: 'auto' | 'manual' | 'real'
  /** Seconds. */
  time: number
  /** Waits that are under way. */
  waiting: number
}

export interface Clock {
  get(): Promise<ClockState>
  /** Milliseconds, or a text such as `30s`. */
  advance(duration: number | string): Promise<ClockState>
  mode(mode: ClockState['mode']): Promise<ClockState>
}

type Hook = (run: () => any, timeout?: number) => any

export interface UseOptions extends StartOptions {
  /** The hooks of vitest or jest, if they are not globals. */
  beforeAll?: Hook
  afterAll?: Hook
  beforeEach?: Hook
  afterEach?: Hook
}

/**
 * One server for the file (or the one at ESINFER_URL, which the global set-up starts for all),
 * and in each test a namespace of its own: the one that is returned. Not for concurrent tests of
 * one file; those take `esinferFixture`.
 */
export function useEsinfer(options?: UseOptions): Namespace

/** For vitest: `test.extend({ esinfer: esinferFixture })`; also for concurrent tests. */
export function esinferFixture(
  fixtures: object,
  use: (namespace: Namespace) => Promise<void>,
): Promise<void>
