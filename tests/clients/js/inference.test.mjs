// One inference of every task, by its own method and by the general one.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import * as it from './support.mjs'

const without = it.major < 9 && 'the client of version 8 cannot'

for (const [name, url] of Object.entries(it.servers)) {
  describe(`through ${name}`, () => {
    const client = it.connect(url)
    before(async () => {
      await it.deleteEndpoints(client)
      for (const taskType of it.taskTypes) await it.create(client, taskType)
    })

    test('textEmbedding gives a vector for each input', async () => {
      const request = { inference_id: 'text_embedding', input: ['one', 'two'] }
      const answer = await client.inference.textEmbedding({ ...request, timeout: '5s' })
      const lengths = answer.text_embedding.map(({ embedding }) => embedding.length)
      assert.deepEqual(lengths, [384, 384])
      assert.deepEqual(await client.inference.inference(request), answer)
    })

    test('sparseEmbedding gives weighted tokens', async () => {
      const request = { inference_id: 'sparse_embedding', input: 'quick fox' }
      const answer = await client.inference.sparseEmbedding(request)
      const [{ is_truncated, embedding }] = answer.sparse_embedding
      assert.equal(is_truncated, false)
      assert.deepEqual(Object.keys(embedding).sort(), ['fox', 'quick'])
      const general = { task_type: 'sparse_embedding', ...request }
      assert.deepEqual(await client.inference.inference(general), answer)
    })

    test('completion gives a text', async () => {
      const request = { inference_id: 'completion', input: 'hello there' }
      const answer = await client.inference.completion(request)
      assert.match(answer.completion[0].result, /hello there/)
      assert.deepEqual(await client.inference.inference(request), answer)
    })

    const request = {
      inference_id: 'rerank',
      query: 'quick fox',
      input: ['a slow dog', 'the quick fox', 'nothing'],
    }
    const wishes = { top_n: 1, return_documents: true }

    test('rerank puts the best first', async () => {
      const answer = await client.inference.rerank(request)
      assert.equal(answer.rerank.length, 3)
      assert.equal(answer.rerank[0].index, 1)
      assert.deepEqual(await client.inference.inference(request), answer)
    })

    test('rerank is cut and returns documents', { skip: without }, async () => {
      const answer = await client.inference.rerank({ ...request, ...wishes })
      const [{ index, text }, ...rest] = answer.rerank
      assert.deepEqual({ index, text, rest }, { index: 1, text: 'the quick fox', rest: [] })
    })

    test('rerank takes the task settings of the endpoint alone', async () => {
      const inference_id = 'other'
      const inference_config = { ...it.config('rerank'), task_settings: wishes }
      await client.inference.put({ task_type: 'rerank', inference_id, inference_config })
      const task_settings = { top_n: 2 }
      const answer = await client.inference.rerank({ ...request, inference_id, task_settings })
      const [{ index, text }, ...rest] = answer.rerank
      assert.deepEqual({ index, text, rest }, { index: 1, text: 'the quick fox', rest: [] })
    })

    const body = it.major >= 9 && 'the client of version 9 sends it in the body'
    test('top_n in the query string is refused', { skip: body }, async () => {
      const error = await it.responseError(client.inference.rerank({ ...request, ...wishes }))
      assert.equal(error.statusCode, 400)
      assert.equal(
        error.body.error.reason,
        'request [/_inference/rerank/rerank] contains unrecognized parameters: ' +
          '[return_documents], [top_n]',
      )
    })

    test('embedding finds no endpoint of its task', { skip: without }, async () => {
      const embedding = { input: 'text' }
      const error = await it.responseError(
        client.inference.embedding({ inference_id: 'text_embedding', embedding }),
      )
      assert.equal(error.statusCode, 400)
      assert.match(error.body.error.reason, /requested type \[embedding\] does not match/)
    })
  })
}
