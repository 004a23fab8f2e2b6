import { expect, test } from '@jest/globals'
import { MemoryFiles } from '../../../base/testing/files.ts'
import { DryFiles } from './dry-files.ts'

function disk(): { files: MemoryFiles; dry: DryFiles } {
  const files = new MemoryFiles()
  files.makeDirectory('/d/sub')
  for (const path of ['/d/a', '/d/sub/b']) {
    const file = files.open(path, 'create')
    file.write(Buffer.alloc(100, 7), 0)
    file.close()
  }
  return { files, dry: new DryFiles(files) }
}

test('a cut file looks cut, and is not', () => {
  const { files, dry } = disk()
  const file = dry.open('/d/a', 'existing')

  file.truncate(40)
  file.truncate(80)

  const bytes = Buffer.alloc(100, 9)
  expect(file.read(bytes, 0)).toBe(80)
  expect(bytes.subarray(0, 80)).toEqual(Buffer.concat([Buffer.alloc(40, 7), Buffer.alloc(40)]))
  expect(dry.open('/d/a', 'existing').sizeBytes()).toBe(80)
  expect(dry.list('/d').find(({ name }) => name === 'a')?.sizeBytes).toBe(80)
  expect(files.list('/d').find(({ name }) => name === 'a')?.sizeBytes).toBe(100)
})

test('what is removed or renamed looks gone, and is not', () => {
  const { files, dry } = disk()

  dry.remove('/d/sub')
  dry.rename('/d/a')

  expect(dry.list('/d')).toEqual([])
  expect(dry.exists('/d/sub/b')).toBe(false)
  expect(() => dry.open('/d/sub/b', 'existing')).toThrow(expect.objectContaining({ code: 'FILE_FAILED' }))
  expect(files.list('/d')).toHaveLength(2)
})

test('what is written is gone: a new file has a length and zeroes', () => {
  const { files, dry } = disk()
  const file = dry.open('/d/new', 'either')

  file.write(Buffer.alloc(10, 1), 5)

  const bytes = Buffer.alloc(20, 9)
  expect(file.read(bytes, 0)).toBe(15)
  expect(bytes.subarray(0, 15)).toEqual(Buffer.alloc(15))
  expect(files.exists('/d/new')).toBe(false)
})
