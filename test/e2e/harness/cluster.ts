import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { say } from './kube.ts'
import { command } from './kubectl.ts'

const projectDir = resolve(import.meta.dirname, '../../..')
const kitDir = resolve(projectDir, '../shared/kube')
const clusterTimeoutMs = 25 * 60_000 // the first time on a machine the kit builds Kubernetes
const imageTimeoutMs = 10 * 60_000

/** A Kubernetes to test on. */
export interface TestCluster {
  env: NodeJS.ProcessEnv
  /** Puts our image on its nodes. */
  loadImage(): Promise<void>
  /** Ends what `openCluster` started, and nothing else. */
  close(): Promise<void>
}

/**
 * KUBECONFIG set: that cluster, whose nodes must have or be able to pull the image that deploy/install.yaml names. Otherwise
 * the kit beside this checkout: three nodes on this machine (needs root), and the image is built and loaded.
 */
export async function openCluster(): Promise<TestCluster> {
  const outside = withoutNpm(process.env)
  if (outside.KUBECONFIG) {
    say(`using the cluster of KUBECONFIG=${outside.KUBECONFIG}`)
    await command('kubectl', ['get', '--raw=/readyz'], { env: outside })
    return {
      env: outside,
      loadImage: async () => {
        if (outside.E2E_IMAGE !== 'present') await loadImage(outside)
      },
      close: async () => {},
    }
  }
  if (!existsSync(kitDir)) throw new Error(`set KUBECONFIG, or put the kit at ${kitDir}`)
  const state = process.env.KUBE_STATE ?? '/var/lib/host-kube'
  const ours = join(state, 'started-by-e2e') // goes with the cluster; a run that is cut off leaves both
  const wasThere = existsSync(join(state, 'kubeconfig')) && !existsSync(ours)
  say('starting Kubernetes with three nodes (builds it first where that was not done yet)')
  const env = { ...outside, NODES: '3' }
  const kubeconfig = (await command(join(kitDir, 'kube-up'), [], { env, timeoutMs: clusterTimeoutMs }))
    .trim()
    .split('\n')
    .at(-1)!
  const cache = process.env.KUBE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'host-kube')
  const kubeEnv = {
    ...outside,
    KUBECONFIG: kubeconfig,
    PATH: `${join(cache, 'bin')}:${kitDir}:${outside.PATH}`,
  }
  if (!wasThere && !process.env.E2E_KEEP) writeFileSync(ours, '')
  return {
    env: kubeEnv,
    loadImage: () => loadImage(kubeEnv),
    async close() {
      if (wasThere || process.env.E2E_KEEP) say(`kept: KUBECONFIG=${kubeconfig}`)
      else await command(join(kitDir, 'kube-down'), [], { env: kubeEnv, timeoutMs: 120_000 })
    },
  }
}

/**
 * npm gives its scripts this project's settings and its Node: ignore-scripts would leave the base image without a Node, and
 * `npm root -g` would look for npm beside ours.
 */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.toLowerCase().startsWith('npm_'))
  const path = env.PATH?.split(':').filter((folder) => !folder.split('/').includes('node_modules'))
  return { ...Object.fromEntries(kept), ...(path && { PATH: path.join(':') }) }
}

/** The image that deploy/install.yaml names, built from the Dockerfile and put on every node. */
async function loadImage(env: NodeJS.ProcessEnv): Promise<void> {
  const manifest = readFileSync(join(projectDir, 'deploy/install.yaml'), 'utf8')
  const image = /image: (\S+)/.exec(manifest)?.[1]
  if (!image) throw new Error('deploy/install.yaml names no image')
  const workDir = join(projectDir, '.work/e2e')
  mkdirSync(workDir, { recursive: true })
  say('making the base image')
  const base = (await command(join(kitDir, 'node-image'), [], { env, timeoutMs: imageTimeoutMs }))
    .trim()
    .split('\n')
    .at(-1)!
  say(`building ${image}`)
  const build = ['bud', '--isolation=chroot', '--build-arg', `NODE_IMAGE=${base}`, '-t', image, '.']
  await command('buildah', build, { env, cwd: projectDir, timeoutMs: imageTimeoutMs })
  const archive = join(workDir, 'image.tar')
  await command('rm', ['-f', archive])
  await command('buildah', ['push', image, `docker-archive:${archive}:${image}`], { env, timeoutMs: imageTimeoutMs })
  say('loading it into the nodes')
  await command(join(kitDir, 'kube-load'), [archive], { env, timeoutMs: imageTimeoutMs })
}
