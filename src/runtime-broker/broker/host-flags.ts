import { ipv6HostBytes, MessageSysFlag } from '../../remoting/message/index.ts'

const { BORN_HOST_IPV6, STORE_HOST_IPV6 } = MessageSysFlag

/** The sysFlag with its two IPv6 bits as the encoded hosts need them. */
export function withHostFlags(sysFlag: number, bornHost: Buffer, storeHost: Buffer): number {
  let flag = sysFlag & ~(BORN_HOST_IPV6 | STORE_HOST_IPV6)
  if (bornHost.length === ipv6HostBytes) flag |= BORN_HOST_IPV6
  if (storeHost.length === ipv6HostBytes) flag |= STORE_HOST_IPV6
  return flag
}
