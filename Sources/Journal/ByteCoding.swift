/// Little-endian integers in and out of byte arrays. Readers are handed offsets that were checked against the count.
extension Array where Element == UInt8 {
  mutating func append(littleEndian value: UInt32) {
    for shift in stride(from: UInt32(0), to: 32, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func append(littleEndian value: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  func readUInt32(at offset: Int) -> UInt32 {
    UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16
      | UInt32(self[offset + 3]) << 24
  }

  func readUInt64(at offset: Int) -> UInt64 {
    UInt64(readUInt32(at: offset)) | UInt64(readUInt32(at: offset + 4)) << 32
  }
}
