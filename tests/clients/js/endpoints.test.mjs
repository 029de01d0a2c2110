// Endpoints: put, putHuggingFace, get, update, delete; and the region policy.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import * as it from './support.mjs'

const client = it.connect()
beforeEach(() => it.deleteEndpoints(client))

const ids = ({ endpoints }) => endpoints.map(({ inference_id }) => inference_id)
const limit = { service_settings: { rate_limit: { requests_per_minute: 99 } } }

test('no method of the client is left out', () => {
  const called = [
    ...['chatCompletionUnified', 'completion', 'delete', 'get', 'inference', 'put'],
    ...['putHuggingFace', 'rerank', 'sparseEmbedding', 'streamCompletion', 'textEmbedding'],
    'update',
    ...(it.major < 9 ? [] : ['deleteRegionPolicy', 'embedding', 'getRegionPolicy']),
    ...(it.major < 9 ? [] : ['putRegionPolicy']),
  ]
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(client.inference))
  const ofOtherServices = /^put(?!HuggingFace$|RegionPolicy$).+/
  const ours = methods.filter((name) => name !== 'constructor' && !ofOtherServices.test(name))
  assert.deepEqual(ours.sort(), called.sort())
})

test('put, get, update and delete', async () => {
  const endpoint = { task_type: 'text_embedding', inference_id: 'a' }
  const inference_config = it.config('text_embedding')
  const created = await client.inference.put({ ...endpoint, inference_config, timeout: '10s' })
  assert.deepEqual(created.service_settings, {
    url: inference_config.service_settings.url,
    similarity: 'cosine',
    dimensions: 384,
    rate_limit: { requests_per_minute: 3000 },
  })
  assert.deepEqual((await client.inference.get(endpoint)).endpoints, [created])

  const updated = await client.inference.update({ ...endpoint, inference_config: limit })
  assert.deepEqual(updated.service_settings.rate_limit, { requests_per_minute: 99 })
  assert.deepEqual((await client.inference.get({ inference_id: 'a' })).endpoints, [updated])

  const deleted = await client.inference.delete(endpoint)
  assert.deepEqual(deleted, { acknowledged: true, pipelines: [], indexes: [] })
  assert.deepEqual(ids(await client.inference.get()), [])
})

test('an update by the id alone wants the task type in the body', async () => {
  await it.create(client, 'completion')
  const inference_id = 'completion'
  const error = await it.responseError(
    client.inference.update({ inference_id, inference_config: limit }),
  )
  assert.equal(error.statusCode, 400)
  const inference_config = { task_type: 'completion', ...limit }
  const updated = await client.inference.update({ inference_id, inference_config })
  assert.deepEqual(updated.service_settings.rate_limit, { requests_per_minute: 99 })
})

for (const task_type of it.taskTypes) {
  test(`putHuggingFace creates an endpoint of ${task_type}`, async () => {
    const created = await client.inference.putHuggingFace({
      task_type,
      huggingface_inference_id: 'b',
      ...it.config(task_type),
      timeout: '30s',
    })
    assert.equal(created.task_type, task_type)
    assert.deepEqual((await client.inference.get({ inference_id: 'b' })).endpoints, [created])
  })
}

test('putHuggingFace takes chunking and task settings', async () => {
  const chunking_settings = { strategy: 'word', max_chunk_size: 100, overlap: 20 }
  const dense = await client.inference.putHuggingFace({
    task_type: 'text_embedding',
    huggingface_inference_id: 'dense',
    ...it.config('text_embedding'),
    chunking_settings,
  })
  assert.deepEqual(dense.chunking_settings, chunking_settings)
  const task_settings = { return_documents: true, top_n: 2 }
  const rerank = await client.inference.putHuggingFace({
    task_type: 'rerank',
    huggingface_inference_id: 'rerank',
    ...it.config('rerank'),
    task_settings,
  })
  assert.deepEqual(rerank.task_settings, task_settings)
})

test('get lists all, and those of a task type', async () => {
  await it.create(client, 'text_embedding')
  await it.create(client, 'sparse_embedding')
  const both = ['sparse_embedding', 'text_embedding']
  const task_type = 'sparse_embedding'
  const inference_id = '_all'
  assert.deepEqual(ids(await client.inference.get()), both)
  assert.deepEqual(ids(await client.inference.get({ inference_id })), both)
  assert.deepEqual(ids(await client.inference.get({ task_type, inference_id })), [task_type])
  assert.deepEqual(ids(await client.inference.get({ task_type })), [task_type])
})

test('a dry run deletes nothing', async () => {
  await it.create(client, 'completion')
  const request = { inference_id: 'completion', dry_run: true, force: false }
  const dry = await client.inference.delete(request)
  const rest = { pipelines: [], indexes: [], error_message: '' }
  assert.deepEqual(dry, { acknowledged: false, ...rest })
  assert.deepEqual(ids(await client.inference.get()), ['completion'])
})

test('a key that the upstream refuses is not stored', async () => {
  const serving = it.connect(it.servers.serve)
  const error = await it.responseError(
    serving.inference.put({
      task_type: 'rerank',
      inference_id: 'refused',
      inference_config: it.config('rerank', 'wrong'),
    }),
  )
  assert.equal(error.statusCode, 400)
  assert.match(error.body.error.caused_by.reason, /authentication error/)
  const missing = await it.responseError(serving.inference.get({ inference_id: 'refused' }))
  assert.equal(missing.statusCode, 404)
})

const without = it.major < 9 && 'the client of version 8 cannot'

test('the region policy is put, read and deleted', { skip: without }, async () => {
  await client.inference.deleteRegionPolicy({}, { ignore: [404] })
  const region_policy = { allowed_regions: [{ csp: 'aws', region: 'us-east-1' }] }
  const created = await client.inference.putRegionPolicy({ region_policy, force: true })
  assert.deepEqual(Object.keys(created), ['region_policy', 'created_at'])
  assert.deepEqual(created.region_policy, region_policy)
  assert.deepEqual(await client.inference.getRegionPolicy(), created)
  assert.deepEqual(await client.inference.deleteRegionPolicy(), { acknowledged: true })
  const error = await it.responseError(client.inference.getRegionPolicy())
  assert.equal(error.statusCode, 404)
})
