// Canned answers and pinned similarities.
import { Client } from '@elastic/elasticsearch'
import { esinferFixture } from 'esinfer-testing'
import { expect, test as base } from 'vitest'

const test = base.extend({ esinfer: esinferFixture })

test('a stub gives the vector of a text', async ({ esinfer }) => {
  await esinfer.endpoint('mine')
  await esinfer.stub('fox', { match: { contains: 'fox' }, answer: { vector: [1, 0, 0] } })
  const es = new Client({ node: esinfer.url })
  const { text_embedding } = await es.inference.textEmbedding({
    inference_id: 'mine',
    input: ['a quick fox', 'a lazy dog'],
  })
  expect(text_embedding[0].embedding).toEqual([1, 0, 0])
  expect(text_embedding[1].embedding).toHaveLength(384)
  expect(await esinfer.stubs.list()).toMatchObject([{ name: 'fox', hits: 1 }])
  await esinfer.stubs.clear()
  expect(await esinfer.stubs.list()).toEqual([])
})

test('pinned texts are as near as it is said', async ({ esinfer }) => {
  await esinfer.endpoint('mine')
  await esinfer.similar('cheap flight', 'low-cost airfare', 0.92)
  const es = new Client({ node: esinfer.url })
  const { text_embedding } = await es.inference.textEmbedding({
    inference_id: 'mine',
    input: ['cheap flight', 'low-cost airfare'],
  })
  const [one, other] = text_embedding.map(({ embedding }) => embedding)
  const dot = (a, b) => a.reduce((sum, value, place) => sum + value * b[place], 0)
  expect(dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other))).toBeCloseTo(0.92, 2)
})
