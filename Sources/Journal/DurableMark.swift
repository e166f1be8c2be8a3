/// A file beside the segments that says how far the journal was durable: what is missing before it was lost, not torn.
///
/// It is written after each fdatasync of a segment and is itself synced only when a segment begins, so it costs one
/// small write. After a crash of the machine it may be behind, never ahead: then only less is noticed.
///
/// 32 bytes, little-endian: magic 8 ‖ sequence u64 ‖ bytes of that segment u64 ‖ reserved u32 ‖ CRC32C u32
struct DurableMark: Equatable, Comparable {
  static let fileName = "durable"
  private static let magic: [UInt8] = Array("LNTMARK\0".utf8)
  private static let byteCount = 32

  var sequence: UInt64
  var bytes: UInt64

  static func < (left: DurableMark, right: DurableMark) -> Bool {
    (left.sequence, left.bytes) < (right.sequence, right.bytes)
  }

  func encoded() -> [UInt8] {
    var bytes = DurableMark.magic
    bytes.append(littleEndian: sequence)
    bytes.append(littleEndian: self.bytes)
    bytes.append(littleEndian: UInt32(0))
    bytes.append(littleEndian: CRC32C.checksum(bytes))
    return bytes
  }

  /// Nil where the bytes are no mark: a write of it that was torn says nothing.
  init?(_ content: [UInt8]) {
    guard content.count == DurableMark.byteCount, content[..<8].elementsEqual(DurableMark.magic),
      CRC32C.checksum(content[..<28]) == content.readUInt32(at: 28)
    else { return nil }
    sequence = content.readUInt64(at: 8)
    bytes = content.readUInt64(at: 16)
  }

  init(sequence: UInt64, bytes: Int) {
    self.sequence = sequence
    self.bytes = UInt64(bytes)
  }
}
