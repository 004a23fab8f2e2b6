/** Ordinals of Apache RocketMQ's MQVersion: every release has two, its snapshot's and then its own. */
export const Version = {
  V3_0_7_SNAPSHOT: 28,
  V3_0_11: 37, // from here a registration has a body
  V3_1_8_SNAPSHOT: 62,
  V3_4_9: 121, // from here maxReconsumeTimes is honoured
  V4_9_3: 399,
  V4_9_4: 401, // from here routes are read as strict JSON
  V5_0_0: 413,
  V5_3_1: 475, // newer peers understand GO_AWAY
  V5_5_0: 513,
} as const

/** What we announce: the release whose behaviour on the wire is ours. */
export const ourVersion: number = Version.V5_5_0
export const ourVersionDescription = 'V5_5_0'
