/// CRC-32C (Castagnoli; RFC 3720 appendix B.4), eight bytes a step. It finds what a disk did by accident, not what a
/// person did on purpose.
struct CRC32C: Sendable {
  private var register: UInt32 = 0xFFFF_FFFF

  /// The checksum of everything taken so far.
  var value: UInt32 { ~register }

  /// The checksum of one piece of bytes.
  static func checksum(_ bytes: some Collection<UInt8>) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes)
    return crc.value
  }

  mutating func update(_ bytes: some Collection<UInt8>) {
    if bytes.withContiguousStorageIfAvailable({ update(buffer: $0) }) == nil {
      Array(bytes).withUnsafeBufferPointer { update(buffer: $0) }
    }
  }

  mutating func update(littleEndian value: UInt32) {
    for shift in stride(from: UInt32(0), to: 32, by: 8) { step(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func update(littleEndian value: UInt64) {
    update(littleEndian: UInt32(truncatingIfNeeded: value))
    update(littleEndian: UInt32(truncatingIfNeeded: value >> 32))
  }

  private mutating func step(_ byte: UInt8) {
    register = CRC32C.tables[Int((register ^ UInt32(byte)) & 0xFF)] ^ (register >> 8)
  }

  private mutating func update(buffer: UnsafeBufferPointer<UInt8>) {
    var crc = register
    CRC32C.tables.withUnsafeBufferPointer { table in
      let raw = UnsafeRawBufferPointer(buffer)
      var index = 0
      let wholeEnd = raw.count & ~7
      while index < wholeEnd {
        let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ UInt64(crc)
        crc =
          table[1792 &+ Int(truncatingIfNeeded: word & 0xFF)]
          ^ table[1536 &+ Int(truncatingIfNeeded: (word >> 8) & 0xFF)]
          ^ table[1280 &+ Int(truncatingIfNeeded: (word >> 16) & 0xFF)]
          ^ table[1024 &+ Int(truncatingIfNeeded: (word >> 24) & 0xFF)]
          ^ table[768 &+ Int(truncatingIfNeeded: (word >> 32) & 0xFF)]
          ^ table[512 &+ Int(truncatingIfNeeded: (word >> 40) & 0xFF)]
          ^ table[256 &+ Int(truncatingIfNeeded: (word >> 48) & 0xFF)]
          ^ table[Int(truncatingIfNeeded: word >> 56)]
        index &+= 8
      }
      while index < raw.count {
        crc = table[Int((crc ^ UInt32(raw[index])) & 0xFF)] ^ (crc >> 8)
        index &+= 1
      }
    }
    register = crc
  }

  /// Eight tables of 256 words, one after the other: table k advances a byte past k further zero bytes.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? 0x82F6_3B78 ^ (crc >> 1) : crc >> 1 }
      tables[byte] = crc
    }
    for index in 256..<tables.count {
      let previous = tables[index - 256]
      tables[index] = tables[Int(previous & 0xFF)] ^ (previous >> 8)
    }
    return tables
  }()
}
