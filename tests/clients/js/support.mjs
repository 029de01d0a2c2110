// What the suites share: clients of the release under test, and endpoints to call.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, afterEach } from 'node:test'

const home = process.env.ESINFER_SUITE_HOME
const require = createRequire(`${home}/`)
const installed = `${home}/node_modules/@elastic/elasticsearch/package.json`

export const { Client, errors } = require('@elastic/elasticsearch')
export const { version } = JSON.parse(readFileSync(installed, 'utf8'))
export const major = Number.parseInt(version, 10)
export const expectedVersion = process.env.ESINFER_SUITE_VERSION

// A mock, and a server whose endpoints reach the twin over HTTP.
export const servers = { mock: process.env.ESINFER_SUITE_MOCK, serve: process.env.ESINFER_SUITE_SERVE }
export const twin = process.env.ESINFER_SUITE_TWIN

const chat = '/v1/chat/completions'
const paths = {
  text_embedding: '/embed',
  sparse_embedding: '/elser',
  rerank: '/rerank',
  completion: chat,
  chat_completion: chat,
}
export const taskTypes = Object.keys(paths)
export const messages = [{ role: 'user', content: 'hello there' }]

export function config(taskType, apiKey = 'secret') {
  const url = twin + paths[taskType]
  return { service: 'hugging_face', service_settings: { url, api_key: apiKey } }
}

const warnings = []

afterEach(() => assert.deepEqual(warnings.splice(0), [], 'the server warned'))

export function connect(node = servers.mock, options = {}) {
  const client = new Client({ node, ...options })
  client.diagnostic.on('response', (_error, result) => warnings.push(...(result?.warnings ?? [])))
  after(() => client.close())
  return client
}

// An endpoint that has the name of its task type.
export function create(client, taskType) {
  return client.inference.put({
    task_type: taskType,
    inference_id: taskType,
    inference_config: config(taskType),
  })
}

export async function deleteEndpoints(client) {
  const { endpoints } = await client.inference.get()
  for (const { inference_id } of endpoints) {
    await client.inference.delete({ inference_id, force: true })
  }
}

// Name and data of every event; nothing else is between them.
export function events(text) {
  assert.ok(text.endsWith('\n\n'), 'the last event is complete')
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(event)
      return { name, data }
    })
}

// The values of a stream that came to its end.
export function values(text) {
  const found = events(text)
  assert.deepEqual(found.pop(), { name: 'message', data: '[DONE]' })
  assert.ok(found.every(({ name }) => name === 'message'))
  return found.map(({ data }) => JSON.parse(data))
}

// The ResponseError with which a call fails; any other outcome fails the test.
export async function responseError(call) {
  const error = await call.then(
    () => assert.fail('the call succeeds'),
    (reason) => reason,
  )
  assert.ok(error instanceof errors.ResponseError, String(error))
  return error
}
