export type {
  Appended,
  AppendWaiter,
  ArrivalListener,
  MessageStore,
  NewMessage,
  QueueName,
  ReadLimits,
  ReadResult,
  ReadStatus,
  SettleStatus,
  StoreSettings,
  StoreStats,
} from './types.ts'
