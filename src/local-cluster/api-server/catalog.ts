import { builtinResources } from './builtin.ts'
import { resourcesOf } from './custom-resource.ts'
import type { KubeObject } from './object.ts'
import type { Resource } from './resource.ts'

/** What the API serves now: the built-in kinds and those of the installed CustomResourceDefinitions. */
export class Catalog {
  readonly #custom = new Map<string, Resource[]>() // by the definition's name
  #all = builtinResources

  all(): readonly Resource[] {
    return this.#all
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.all().find((one) => one.group === group && one.version === version && one.plural === plural)
  }

  findKind(apiVersion: string, kind: string): Resource | undefined {
    const [version = '', group = ''] = apiVersion.split('/').reverse()
    return this.all().find((one) => one.group === group && one.version === version && one.kind === kind)
  }

  /** One resource of each collection: enough to walk over everything there is. */
  collections(): Resource[] {
    return [...new Map(this.all().map((resource) => [resource.collection, resource])).values()]
  }

  define(crd: KubeObject): void {
    this.#custom.set(crd.metadata.name, resourcesOf(crd))
    this.#gather()
  }

  forget(crd: KubeObject): void {
    this.#custom.delete(crd.metadata.name)
    this.#gather()
  }

  #gather(): void {
    this.#all = [...builtinResources, ...[...this.#custom.values()].flat()]
  }
}
