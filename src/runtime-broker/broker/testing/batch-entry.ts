/** One message within the body of SEND_BATCH_MESSAGE, its magic, checksum and flag 0. */
export function batchEntry(body: string, properties: string): Buffer {
  const entry = Buffer.alloc(22 + Buffer.byteLength(body) + Buffer.byteLength(properties))
  entry.writeInt32BE(entry.length, 0)
  entry.writeInt32BE(Buffer.byteLength(body), 16)
  entry.write(body, 20)
  entry.writeInt16BE(Buffer.byteLength(properties), 20 + Buffer.byteLength(body))
  entry.write(properties, 22 + Buffer.byteLength(body))
  return entry
}
