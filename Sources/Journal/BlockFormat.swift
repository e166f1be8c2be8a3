// The file of finalised blocks, all integers little-endian.
//
// Header, 64 bytes: magic 8 ‖ version u32 ‖ reserved u32 ‖ network id 32 ‖ salt u64 ‖ reserved u32 ‖ CRC32C u32
// Block, 52 bytes and the payload:
//   length u32 ‖ CRC32C of the payload u32 ‖ height u64 ‖ id 32 ‖ CRC32C of (salt ‖ the fields before) u32 ‖ payload
// The salt serves as in a journal segment.

/// The first bytes of the block file.
struct BlockFileHeader {
  static let magic: [UInt8] = Array("LNTBLKS\0".utf8)
  static let version: UInt32 = 1
  static let byteCount = 64

  var networkID: [UInt8]
  var salt: UInt64

  func encoded() -> [UInt8] {
    var bytes = BlockFileHeader.magic
    bytes.append(littleEndian: BlockFileHeader.version)
    bytes.append(littleEndian: UInt32(0))
    bytes += networkID
    bytes.append(littleEndian: salt)
    bytes.append(littleEndian: UInt32(0))
    bytes.append(littleEndian: CRC32C.checksum(bytes))
    return bytes
  }

  static func read(_ bytes: [UInt8], path: String) throws(JournalError) -> BlockFileHeader {
    guard bytes.count >= byteCount, bytes[..<8].elementsEqual(magic),
      CRC32C.checksum(bytes[..<(byteCount - 4)]) == bytes.readUInt32(at: byteCount - 4)
    else {
      throw JournalError(
        .damaged, "The header of \(path) is damaged. Move the file away: its blocks are fetched from peers again.")
    }
    let version = bytes.readUInt32(at: 8)
    guard version == BlockFileHeader.version else { throw .unknownFormat(path, version) }
    return BlockFileHeader(networkID: Array(bytes[16..<48]), salt: bytes.readUInt64(at: 48))
  }
}

/// What precedes a block's bytes.
struct BlockHeader: Equatable {
  static let byteCount = 52

  var length: UInt32
  var payloadChecksum: UInt32
  var height: UInt64
  var id: [UInt8]

  init(height: UInt64, id: [UInt8], payload: [UInt8]) {
    length = UInt32(payload.count)
    payloadChecksum = CRC32C.checksum(payload)
    self.height = height
    self.id = id
  }

  /// Nil where the header does not check or claims more than a block may hold.
  init?(_ bytes: [UInt8], at offset: Int, salt: UInt64) {
    guard offset + BlockHeader.byteCount <= bytes.count else { return nil }
    length = bytes.readUInt32(at: offset)
    guard length <= UInt32(JournalLimits.maximumRecordBytes) else { return nil }
    payloadChecksum = bytes.readUInt32(at: offset + 4)
    height = bytes.readUInt64(at: offset + 8)
    var crc = CRC32C()
    crc.update(littleEndian: salt)
    crc.update(bytes[offset..<(offset + 48)])
    guard crc.value == bytes.readUInt32(at: offset + 48) else { return nil }
    id = Array(bytes[(offset + 16)..<(offset + 48)])
  }

  func encoded(salt: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(BlockHeader.byteCount + Int(length))
    bytes.append(littleEndian: length)
    bytes.append(littleEndian: payloadChecksum)
    bytes.append(littleEndian: height)
    bytes += id
    var crc = CRC32C()
    crc.update(littleEndian: salt)
    crc.update(bytes)
    bytes.append(littleEndian: crc.value)
    return bytes
  }
}
