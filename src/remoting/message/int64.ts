/**
 * Signed 64-bit big-endian integers as numbers: two 32-bit halves, because a BigInt per field costs more than the whole
 * record. Exact within ±2^53, which every offset, time and tags code of a store keeps.
 */
export function writeInt64(into: Buffer, value: number, position: number): void {
  into.writeInt32BE(Math.floor(value / 4_294_967_296), position)
  into.writeInt32BE(value | 0, position + 4) // ToInt32 is modulo 2^32, so this is the low half of negative values too
}

/** As writeInt64, in a fraction of its time. */
export function setInt64(view: DataView, position: number, value: number): void {
  view.setInt32(position, Math.floor(value / 4_294_967_296))
  view.setInt32(position + 4, value | 0)
}

/** Reads what writeInt64 wrote; a value beyond ±2^53, which no writer makes, comes back rounded. */
export function readInt64(from: Buffer, position: number): number {
  return from.readInt32BE(position) * 4_294_967_296 + from.readUInt32BE(position + 4)
}
