import type { SecureVersion } from 'node:tls'
import type { Chance } from '../../src/base/testing/chance.ts'
import { type Attack, attacks } from './attacks.ts'
import { type Kind, Peer } from './peer.ts'
import type { Stage } from './stage.ts'
import { anyVersion, tlsAttacks } from './tls-attacks.ts'

/** An attack, and the connection that it is given. */
export interface Card {
  name: string
  attack: Attack
  connect(stage: Stage, chance: Chance): Promise<Peer>
}

const whole: readonly Card[] = [
  ...attacks.flatMap(({ name, weight, attack }) => cards(weight * 8, { name, attack, connect: connectPlain })),
  ...attacks.flatMap(({ name, weight, attack }) => {
    return cards(weight * 2, { name: `${name}, in TLS`, attack, connect: connectAny('tls') })
  }),
  ...tlsAttacks.flatMap(({ name, weight, attack, kind, version, enforcing }) => {
    return cards(weight * 8, { name, attack, connect: connectAny(kind, version, enforcing) })
  }),
]

/** Each attack as often as it is to come. @param only what its name has in it @throws Error where none has */
export function deckOf(only: string): readonly Card[] {
  const deck = whole.filter(({ name }) => name.includes(only))
  if (deck.length === 0) throw new Error(`no attack has "${only}" in its name`)
  return deck
}

function cards(count: number, card: Card): Card[] {
  return Array.from({ length: count }, () => card)
}

function connectPlain({ ports }: Stage, chance: Chance): Promise<Peer> {
  return Peer.connect(chance.one([ports.broker, ports.namesrv]), 'plain')
}

function connectAny(kind: Kind, version?: SecureVersion, enforcing = false): Card['connect'] {
  return ({ ports }, chance) => {
    const options = version === undefined ? anyVersion(chance) : { maxVersion: version }
    return Peer.connect(enforcing ? ports.tls : chance.one(Object.values(ports)), kind, options)
  }
}
