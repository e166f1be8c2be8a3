// A file of final blocks, all integers little-endian.
//
// Header, 72 bytes:
//   magic 8 ‖ version u32 ‖ reserved u32 ‖ network id 32 ‖ first height u64 ‖ salt u64 ‖ reserved u32 ‖ CRC32C u32
// Block, 20 bytes and the payload:
//   length u32 ‖ CRC32C of the payload u32 ‖ height u64 ‖ CRC32C of (salt ‖ the fields before) u32 ‖ payload
// The salt serves as in a journal segment.

/// The first bytes of a file of blocks.
struct BlockFileHeader: Equatable {
  static let magic: [UInt8] = Array("LNTBLKS\0".utf8)
  static let version: UInt32 = 2
  static let byteCount = 72

  var networkID: [UInt8]
  var firstHeight: UInt64
  var salt: UInt64

  func encoded() -> [UInt8] {
    var bytes = BlockFileHeader.magic
    bytes.append(littleEndian: BlockFileHeader.version)
    bytes.append(littleEndian: UInt32(0))
    bytes += networkID
    bytes.append(littleEndian: firstHeight)
    bytes.append(littleEndian: salt)
    bytes.append(littleEndian: UInt32(0))
    bytes.append(littleEndian: CRC32C.checksum(bytes))
    return bytes
  }

  /// Nil where the header does not check.
  static func read(_ bytes: [UInt8], path: String) throws(JournalError) -> BlockFileHeader? {
    guard bytes.count >= byteCount, bytes[..<8].elementsEqual(magic),
      CRC32C.checksum(bytes[..<(byteCount - 4)]) == bytes.readUInt32(at: byteCount - 4)
    else { return nil }
    let version = bytes.readUInt32(at: 8)
    guard version == BlockFileHeader.version else { throw .unknownFormat(path, version) }
    return BlockFileHeader(
      networkID: Array(bytes[16..<48]), firstHeight: bytes.readUInt64(at: 48), salt: bytes.readUInt64(at: 56))
  }
}

/// What precedes a block's bytes.
struct BlockRecordHeader: Equatable {
  static let byteCount = 20

  var length: UInt32
  var payloadChecksum: UInt32
  var height: UInt64

  init(height: UInt64, payload: [UInt8]) {
    length = UInt32(payload.count)
    payloadChecksum = CRC32C.checksum(payload)
    self.height = height
  }

  /// Nil where the header does not check or claims more than a block may hold.
  init?(_ bytes: [UInt8], at offset: Int, salt: UInt64) {
    guard offset + BlockRecordHeader.byteCount <= bytes.count else { return nil }
    length = bytes.readUInt32(at: offset)
    guard length <= UInt32(JournalLimits.maximumRecordBytes) else { return nil }
    payloadChecksum = bytes.readUInt32(at: offset + 4)
    height = bytes.readUInt64(at: offset + 8)
    guard checksum(salt) == bytes.readUInt32(at: offset + 16) else { return nil }
  }

  func encoded(salt: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(BlockRecordHeader.byteCount + Int(length))
    bytes.append(littleEndian: length)
    bytes.append(littleEndian: payloadChecksum)
    bytes.append(littleEndian: height)
    bytes.append(littleEndian: checksum(salt))
    return bytes
  }

  private func checksum(_ salt: UInt64) -> UInt32 {
    var crc = CRC32C()
    crc.update(littleEndian: salt)
    crc.update(littleEndian: length)
    crc.update(littleEndian: payloadChecksum)
    crc.update(littleEndian: height)
    return crc.value
  }
}

/// `NNNNNNNNNNNNNNNNNNNN.blocks`: the first height in twenty decimal digits.
enum BlockFileName {
  static let suffix = ".blocks"
  static let temporarySuffix = ".blocks.tmp"

  static func name(_ firstHeight: UInt64) -> String {
    let digits = String(firstHeight)
    return String(repeating: "0", count: 20 - digits.utf8.count) + digits + suffix
  }

  static func firstHeight(_ name: String) -> UInt64? {
    guard name.hasSuffix(suffix) else { return nil }
    let digits = name.utf8.dropLast(suffix.utf8.count)
    guard digits.count == 20, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return UInt64(String(digits) ?? "")
  }
}
