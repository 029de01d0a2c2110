// What a user would paste: the code under test gets esinfer.url instead of Elasticsearch's.
import { Client } from '@elastic/elasticsearch'
import { esinferFixture } from 'esinfer-testing'
import { expect, test as base } from 'vitest'

const test = base.extend({ esinfer: esinferFixture })

test('a paraphrase ranks first', async ({ esinfer }) => {
  await esinfer.endpoint('my-reranker', { task_type: 'rerank' })
  const es = new Client({ node: esinfer.url })
  const { rerank } = await es.inference.rerank({
    inference_id: 'my-reranker',
    query: 'a lazy dog',
    input: ['a quick fox', 'the dog is lazy today', 'birds sing'],
  })
  expect(rerank[0].index).toBe(1)
})

for (const dimensions of [384, 384]) {
  test.concurrent(`concurrent tests may use one id`, async ({ esinfer }) => {
    const created = await esinfer.endpoint('same')
    expect(created.service_settings.dimensions).toBe(dimensions)
    expect(await esinfer.journal.list({ method: 'PUT' })).toHaveLength(1)
  })
}
