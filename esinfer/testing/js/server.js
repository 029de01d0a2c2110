// `esinfer mock` as a process: found, started, waited for, stopped.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { candidates } from './command.js'
import { Namespace } from './namespace.js'

const STARTED = /^esinfer mock listening on (\S+)$/m
const KEPT = 16_384 // characters of what it writes that are kept
const PATIENCE = 5_000 // milliseconds that requests in flight have when it is told to stop

/** The server did not start; the message says why, with what it wrote to standard error. */
export class StartError extends Error {
  name = 'StartError'
}

class NotThere extends StartError {}

/** A server that runs, ours or somebody else's. */
class Server {
  /**
   * @param {string} url
   * @param {() => Promise<void>} stop
   */
  constructor(url, stop) {
    this.url = url
    this.stop = stop
  }

  /** @param {string} [name] */
  namespace(name = `js-${randomUUID()}`) {
    const place = { root: this.url, name }
    return new Namespace(() => place)
  }
}

/**
 * A server that somebody else has started; stop() leaves it running.
 * @param {string} url
 */
export function connectEsinfer(url) {
  return new Server(url.replace(/\/+$/, ''), async () => {})
}

/** @param {import('./index.js').StartOptions} [options] */
export async function startEsinfer({ command, args = [], env = {}, port = 0, timeout = 15_000 } = {}) {
  const environment = { ...process.env, ...env }
  delete environment.ESINFER_URL // of a server that runs already
  const tried = candidates(command, environment)
  for (const [program, ...first] of tried) {
    const argv = [...first, 'mock', '--port', String(port), ...args]
    try {
      return await start(program, argv, environment, timeout)
    } catch (error) {
      if (!(error instanceof NotThere)) throw error
    }
  }
  throw new StartError(
    `esinfer is not found${tried.length ? `, tried: ${tried.map((one) => one.join(' ')).join('; ')}` : ''}.` +
      ' Install it (pip install esinfer) on PATH, or say by the option `command` or the variable' +
      ' ESINFER where it is',
  )
}

/**
 * @param {string} program
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env
 * @param {number} timeout
 */
async function start(program, argv, env, timeout) {
  const child = spawn(program, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const stop = stopWithUs(child)
  try {
    return new Server(await address(child, [program, ...argv].join(' '), timeout), stop)
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * The address of the started line; StartError if there is none.
 * @param {import('node:child_process').ChildProcessByStdio<null, any, any>} child
 * @param {string} command
 * @param {number} timeout
 * @returns {Promise<string>}
 */
function address(child, command, timeout) {
  const output = keep(child.stdout)
  const errors = keep(child.stderr)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new StartError(`${command} did not start within ${timeout} ms${quoted(errors.text)}`))
    }, timeout)
    child.stdout.on('data', () => {
      const found = STARTED.exec(output.text)
      if (found) settle(() => resolve(found[1]))
    })
    child.once('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      const Kind = error.code === 'ENOENT' ? NotThere : StartError
      settle(() => reject(new Kind(`${command} cannot be started: ${error.message}`)))
    })
    child.once('close', (status, signal) => {
      const Kind = /No module named '?esinfer/.test(errors.text) ? NotThere : StartError
      const ended = signal ? `by ${signal}` : `with status ${status}`
      settle(() => reject(new Kind(`${command} ended ${ended}${quoted(errors.text)}`)))
    })
    /** @param {() => void} outcome */
    function settle(outcome) {
      clearTimeout(timer)
      outcome()
    }
  })
}

/** Reads all, so that the pipe is never full, and keeps the end.
 * @param {any} stream */
function keep(stream) {
  const kept = { text: '' }
  stream.setEncoding('utf8')
  stream.on('data', (/** @type {string} */ more) => {
    kept.text = (kept.text + more).slice(-KEPT)
  })
  stream.unref?.() // tests that are over do not wait for a server that is not stopped
  return kept
}

/** @param {string} text */
function quoted(text) {
  return text.trim() ? `:\n${text.trim()}` : ', and wrote nothing to standard error'
}

/**
 * Ends the child with this process, however that ends but for SIGKILL; what stops it before.
 * @param {import('node:child_process').ChildProcess} child
 */
function stopWithUs(child) {
  const kill = () => child.kill('SIGKILL')
  const handlers = ['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => {
    const handler = () => {
      kill()
      forget()
      // As without us, unless somebody else has plans for the signal.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    }
    return { signal, handler }
  })
  process.on('exit', kill)
  for (const { signal, handler } of handlers) process.on(signal, handler)
  const forget = () => {
    process.off('exit', kill)
    for (const { signal, handler } of handlers) process.off(signal, handler)
  }
  child.once('exit', forget)
  child.once('error', forget)
  child.unref()
  return () => stop(child)
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.ref()
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
  await ended
  clearTimeout(timer)
}
