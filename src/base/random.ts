/** The one door to chance. */
export interface Random {
  /** A number in [0, 1). */
  float(): number
  /** An integer in [0, limit). */
  int(limit: number): number
  bytes(count: number): Buffer
  /** An RFC 9562 version 4 UUID. */
  uuid(): string
}
