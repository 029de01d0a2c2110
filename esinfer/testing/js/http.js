// One request to the server; what is not a success is an EsinferError.

export class EsinferError extends Error {
  /**
   * @param {string} request - method and url
   * @param {number} status
   * @param {any} body - Elasticsearch's error, or a text where there is none
   */
  constructor(request, status, body) {
    const error = body?.error
    const reason = typeof error === 'object' ? reasons(error) : String(error ?? JSON.stringify(body))
    super(`${request}: ${status} ${reason}`)
    this.name = 'EsinferError'
    this.status = status
    this.type = error?.type
    this.reason = reason
    this.body = body
  }
}

/**
 * What went wrong, and after it what that came from.
 * @param {any} error
 * @returns {string}
 */
function reasons(error) {
  return error.caused_by ? `${error.reason}: ${reasons(error.caused_by)}` : error.reason
}

/**
 * Sends a request; the JSON value of its answer.
 * @param {string} method
 * @param {string} url
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
export async function send(method, url, body) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) })
  const value = parsed(await answer.text())
  if (!answer.ok) throw new EsinferError(`${method} ${url}`, answer.status, value)
  return value
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text // something else than esinfer answers
  }
}
