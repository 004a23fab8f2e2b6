import type { BrokerSettings } from './broker.ts'

/** How full a broker's volume may be, in percent, before its store does something about it. */
export interface DiskLimits {
  /** Above it expired segments go at any hour. */
  expiredGo: number
  /** Above it the oldest segments go, expired or not, where cleanFileForciblyEnable lets them. */
  oldestGo: number
  /** Above it a master takes no messages. */
  sendsRefused: number
}

type DiskSettings = Pick<
  BrokerSettings,
  'diskMaxUsedSpaceRatio' | 'diskSpaceCleanForciblyRatio' | 'diskSpaceWarningLevelRatio'
>

/**
 * What settings come to. Those that let messages go hold within Apache's bounds: a slip must neither remove nearly all of a log nor fill
 * the volume. sendsRefused holds as it is given, where Apache's broker takes it as 35 to 90, and for one that is below oldestGo removes
 * the oldest segments, too: here nothing goes but what the other two say, and a write that finds no room at 100 is refused as well.
 * Source: Apache RocketMQ 5, CleanCommitLogService and MessageStoreConfig#getDiskMaxUsedSpaceRatio.
 */
export function diskLimitsOf(settings: DiskSettings): DiskLimits {
  return {
    expiredGo: clamped(settings.diskMaxUsedSpaceRatio, 10, 95),
    oldestGo: clamped(settings.diskSpaceCleanForciblyRatio, 30, 85),
    sendsRefused: settings.diskSpaceWarningLevelRatio,
  }
}

function clamped(percent: number, min: number, max: number): number {
  return Math.min(Math.max(percent, min), max)
}
