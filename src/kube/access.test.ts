import { expect, test } from '@jest/globals'
import type { Files } from '../base/files.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { findAccess } from './access.ts'

function find(files: Record<string, string>, env: Record<string, string> = {}, kubeconfig?: string) {
  const clock = new ManualClock()
  const readText = (path: string) => {
    const text = files[path]
    if (text === undefined) throw new Error(`no such file: ${path}`)
    return text
  }
  return { clock, files, access: findAccess(kubeconfig, env, { readText } as unknown as Files, clock) }
}

function kubeconfig(user: object, cluster: object = {}): string {
  return JSON.stringify({
    'current-context': 'one',
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://kube:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
  })
}

test('certificates are taken from data, or from files beside the kubeconfig', async () => {
  const data = Buffer.from('CERT').toString('base64')
  const { access } = find(
    {
      '/home/me/config': kubeconfig(
        { 'client-certificate-data': data, 'client-key': 'me.key' },
        { 'certificate-authority': '/etc/ca.crt' },
      ),
      '/home/me/me.key': 'KEY',
      '/etc/ca.crt': 'CA',
    },
    { KUBECONFIG: '/home/me/config' },
  )

  expect((await access).server).toBe('https://kube:6443')
  expect(await (await access).credentials()).toEqual({ tls: { ca: 'CA', cert: 'CERT', key: 'KEY' }, headers: {} })
})

test.each([
  [{ token: 'abc' }, 'Bearer abc'],
  [{ username: 'me', password: 'pw' }, `Basic ${Buffer.from('me:pw').toString('base64')}`],
])('%j is sent with each request', async (user, authorization) => {
  const { access } = find({ '/config': kubeconfig(user) }, {}, '/config')

  expect((await (await access).credentials()).headers).toEqual({ authorization })
})

test('in a pod the service account is used, and its token read again when it may be a new one', async () => {
  const directory = '/var/run/secrets/kubernetes.io/serviceaccount'
  const { access, files, clock } = find(
    { [`${directory}/ca.crt`]: 'CA', [`${directory}/token`]: 'first\n' },
    { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
  )
  const credentials = async () => (await (await access).credentials()).headers.authorization
  expect((await access).server).toBe('https://[fd00::1]:443')
  expect(await credentials()).toBe('Bearer first')

  files[`${directory}/token`] = 'second\n'
  expect(await credentials()).toBe('Bearer first')
  await clock.advance(61_000)
  expect(await credentials()).toBe('Bearer second')
})

test.each<[string, Record<string, string>, Record<string, string>]>([
  ['nothing names a cluster', {}, {}],
  ['the file is missing', {}, { KUBECONFIG: '/config' }],
  ['the file is no YAML', { '/config': '{' }, { KUBECONFIG: '/config' }],
  ['the context is missing', { '/config': '{}' }, { KUBECONFIG: '/config' }],
  ['a file it names is missing', { '/config': kubeconfig({ 'client-key': 'me.key' }) }, { KUBECONFIG: '/config' }],
])('fails with its own code when %s', async (_, files, env) => {
  await expect(find(files, env).access).rejects.toMatchObject({ code: 'KUBE_CONFIG_INVALID' })
})
