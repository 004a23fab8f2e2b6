import { expect, test } from '@jest/globals'
import { versionLabel } from './pods.ts'

test.each([
  ['mq:0.1.0', '0.1.0'],
  ['mq@sha256:0123456789abcdef', 'sha256-0123456789ab'],
  [`mq:_${'1234567890'.repeat(6)}-_rest`, '1234567890'.repeat(6)],
])('the label of %s is %s', (image, version) => {
  expect(versionLabel(image)).toBe(version)
})
