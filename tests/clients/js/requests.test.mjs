// What goes with every request: identity, media types, compression, credentials, errors.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import * as it from './support.mjs'

const client = it.connect()
beforeEach(() => it.deleteEndpoints(client))

test('the client is the release that is meant', () => {
  assert.equal(it.version, it.expectedVersion)
})

test('info and ping answer', async () => {
  const { body, headers } = await client.info({}, { meta: true })
  assert.match(body.version.number, /^9\.5\./)
  assert.equal(headers['x-elastic-product'], 'Elasticsearch')
  assert.equal(await client.ping(), true)
})

test('the list of media types in Accept is taken, and answered in kind', async () => {
  const { headers, meta } = await client.inference.get({}, { meta: true })
  const vendor = 'application/vnd.elasticsearch+json'
  const sent = meta.request.params.headers.accept
  assert.equal(sent, `${vendor}; compatible-with=${it.major},text/plain`)
  assert.equal(headers['content-type'], `${vendor};compatible-with=${it.major}`)
})

for (const accept of ['text/event-stream', '*/*', 'application/json,text/event-stream']) {
  test(`a stream is not refused for Accept: ${accept}`, async () => {
    await it.create(client, 'completion')
    const request = { inference_id: 'completion', input: 'hello' }
    assert.ok(it.values(await client.inference.streamCompletion(request, { headers: { accept } })))
  })
}

test('compressed requests and answers work', async () => {
  const compressing = it.connect(it.servers.mock, { compression: true })
  await it.create(compressing, 'text_embedding')
  await it.create(compressing, 'completion')
  const input = 'text '.repeat(500)
  const { body, headers, meta } = await compressing.inference.textEmbedding(
    { inference_id: 'text_embedding', input },
    { meta: true },
  )
  assert.equal(meta.request.params.headers['content-encoding'], 'gzip')
  assert.equal(headers['content-encoding'], 'gzip')
  assert.equal(body.text_embedding.length, 1)
  const text = await compressing.inference.streamCompletion({ inference_id: 'completion', input })
  assert.ok(it.values(text).length > 1)
  const missing = await it.responseError(compressing.inference.get({ inference_id: 'nope' }))
  assert.equal(missing.body.status, 404)
})

test('a compressing client may ping', async () => {
  // Its answer has no body: a Content-Encoding would make the client unpack nothing, and fail.
  const { headers } = await client.ping({}, { headers: { 'accept-encoding': 'gzip' }, meta: true })
  assert.equal(headers['content-encoding'], undefined)
  assert.equal(await it.connect(it.servers.mock, { compression: true }).ping(), true)
})

test('the opaque id comes back', async () => {
  const options = { opaqueId: 'mine', meta: true }
  const { headers } = await client.info({}, options)
  assert.equal(headers['x-opaque-id'], 'mine')
  const error = await it.responseError(client.inference.get({ inference_id: 'nope' }, options))
  assert.equal(error.headers['x-opaque-id'], 'mine')
})

const credentials = {
  basic: { username: 'elastic', password: 'changeme' },
  'an API key': { apiKey: 'key' },
  bearer: { bearer: 'token' },
}
for (const [name, auth] of Object.entries(credentials)) {
  test(`credentials are taken: ${name}`, async () => {
    const info = await it.connect(it.servers.mock, { auth }).info()
    assert.equal(info.version.build_flavor, 'default')
  })
}

test('every common parameter is taken', async () => {
  await it.create(client, 'text_embedding')
  const answer = await client.inference.textEmbedding({
    inference_id: 'text_embedding',
    input: 'text',
    timeout: '5s',
    error_trace: true,
    human: true,
    pretty: true,
    filter_path: ['text_embedding.embedding', '-nothing'],
  })
  assert.equal(answer.text_embedding[0].embedding.length, 384)
})

test('an unknown endpoint is a ResponseError of status 404', async () => {
  const error = await it.responseError(client.inference.get({ inference_id: 'a/ü' }))
  const reason = 'Inference endpoint not found [a/ü]'
  const cause = { type: 'resource_not_found_exception', reason }
  assert.equal(error.statusCode, 404)
  assert.deepEqual(error.body, { error: { root_cause: [cause], ...cause }, status: 404 })
})

test('a wrong value is a ResponseError of status 400', async () => {
  const inference_config = { ...it.config('completion'), service: 'nope' }
  const wrong = { task_type: 'completion', inference_id: 'x', inference_config }
  const error = await it.responseError(client.inference.put(wrong))
  assert.equal(error.statusCode, 400)
  assert.equal(error.body.error.reason, 'Unknown service [nope]')
  assert.match(error.message, /Unknown service \[nope\]/)
})

test('a parameter that nobody knows is a ResponseError of status 400', async () => {
  const querystring = { timout: '5s' }
  const path = '/_inference/nope'
  const error = await it.responseError(
    client.transport.request({ method: 'GET', path, querystring }),
  )
  assert.equal(error.statusCode, 400)
  assert.equal(error.body.error.type, 'illegal_argument_exception')
  assert.match(error.body.error.reason, /contains unrecognized parameter: \[timout\]/)
})
