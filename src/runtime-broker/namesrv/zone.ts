import type { TopicRouteData } from '../../remoting/body/route.ts'

/** extFields of no header: the zone of a broker that registers, and of a client that wants brokers nearby. */
const zoneNameField = '__ZONE_NAME'
const zoneModeField = '__ZONE_MODE'

export function zoneNameOf(extFields: Readonly<Record<string, string>>): string | undefined {
  return extFields[zoneNameField]
}

/** The zone whose brokers alone a client asks for. */
export function wantedZone(extFields: Readonly<Record<string, string>>): string | undefined {
  const isWanted = extFields[zoneModeField]?.toLowerCase() === 'true'
  const zoneName = zoneNameOf(extFields)
  return isWanted && zoneName !== undefined && zoneName.trim() !== '' ? zoneName : undefined
}

/**
 * A route without the broker groups of other zones. A group without a master stays: better a far slave than none.
 * Source: Apache RocketMQ 5, ZoneRouteRPCHook.
 */
export function inZone(route: TopicRouteData, zoneName: string): TopicRouteData {
  const wanted = zoneName.toLowerCase()
  const isNear = ({ brokerAddrs, zoneName }: TopicRouteData['brokerDatas'][number]) =>
    !brokerAddrs.has(0) || zoneName?.toLowerCase() === wanted
  const far = route.brokerDatas.filter((broker) => !isNear(broker))
  const farNames = new Set(far.map(({ brokerName }) => brokerName))
  const farAddrs = new Set(far.flatMap(({ brokerAddrs }) => [...brokerAddrs.values()]))
  return {
    ...route,
    brokerDatas: route.brokerDatas.filter(isNear),
    queueDatas: route.queueDatas.filter(({ brokerName }) => !farNames.has(brokerName)),
    filterServerTable: new Map([...route.filterServerTable].filter(([address]) => !farAddrs.has(address))),
  }
}
