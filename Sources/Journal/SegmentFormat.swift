// A segment, all integers little-endian.
//
// Header, 88 bytes:
//   magic 8 ‖ version u32 ‖ reserved u32 ‖ sequence u64 ‖ epoch u64 ‖ first u64 ‖ network id 32 ‖
//   chain before the first record u32 ‖ salt u64 ‖ CRC32C of what precedes u32
// Record, 16 bytes and the payload:
//   length u32 ‖ CRC32C of the payload u32 ‖ chain u32 ‖ CRC32C of (salt ‖ the three fields before) u32 ‖ payload
// The chain of a record is CRC32C(chain of the record before ‖ length ‖ CRC32C of the payload), over all segments.
//
// `first` is the sequence of the segment where the content began when this one was made: the newest segment's tells
// which segments must be there, and that older ones were dropped on purpose.
//
// The salt is drawn for each segment so that a payload, which a peer may have chosen, cannot hold bytes that pass for
// a record when recovery looks for data after a damaged spot.

/// The first bytes of a segment.
struct SegmentHeader: Equatable {
  static let magic: [UInt8] = Array("LNTJRNL\0".utf8)
  static let version: UInt32 = 2
  static let byteCount = 88

  var sequence: UInt64
  var epoch: UInt64
  var first: UInt64
  var networkID: [UInt8]
  var previousChain: UInt32
  var salt: UInt64

  enum Reading: Equatable {
    case header(SegmentHeader)
    case otherVersion(UInt32)
    case unreadable
  }

  func encoded() -> [UInt8] {
    var bytes = SegmentHeader.magic
    bytes.append(littleEndian: SegmentHeader.version)
    bytes.append(littleEndian: UInt32(0))
    bytes.append(littleEndian: sequence)
    bytes.append(littleEndian: epoch)
    bytes.append(littleEndian: first)
    bytes += networkID
    bytes.append(littleEndian: previousChain)
    bytes.append(littleEndian: salt)
    bytes.append(littleEndian: CRC32C.checksum(bytes))
    return bytes
  }

  static func read(_ bytes: [UInt8]) -> Reading {
    if bytes.count >= oldByteCount, bytes[..<8].elementsEqual(magic), bytes.readUInt32(at: 8) == 1,
      CRC32C.checksum(bytes[..<(oldByteCount - 4)]) == bytes.readUInt32(at: oldByteCount - 4)
    {
      return .otherVersion(1)
    }
    guard bytes.count >= byteCount, bytes[..<8].elementsEqual(magic),
      CRC32C.checksum(bytes[..<(byteCount - 4)]) == bytes.readUInt32(at: byteCount - 4)
    else { return .unreadable }
    let version = bytes.readUInt32(at: 8)
    guard version == SegmentHeader.version else { return .otherVersion(version) }
    return .header(
      SegmentHeader(
        sequence: bytes.readUInt64(at: 16),
        epoch: bytes.readUInt64(at: 24),
        first: bytes.readUInt64(at: 32),
        networkID: Array(bytes[40..<72]),
        previousChain: bytes.readUInt32(at: 72),
        salt: bytes.readUInt64(at: 76)))
  }

  /// The length of a header of version 1, so that its segments are called old and not damaged.
  private static let oldByteCount = 72
}

/// What precedes a payload.
struct RecordHeader: Equatable {
  static let byteCount = 16

  var length: UInt32
  var payloadChecksum: UInt32
  var chain: UInt32

  init(of payload: [UInt8], after previousChain: UInt32) {
    length = UInt32(payload.count)
    payloadChecksum = CRC32C.checksum(payload)
    chain = RecordHeader.chain(previousChain, length, payloadChecksum)
  }

  /// Nil where the header does not check or claims more than a record may hold.
  init?(_ bytes: [UInt8], at offset: Int, salt: UInt64) {
    guard offset + RecordHeader.byteCount <= bytes.count else { return nil }
    length = bytes.readUInt32(at: offset)
    guard length <= UInt32(JournalLimits.maximumRecordBytes) else { return nil }
    payloadChecksum = bytes.readUInt32(at: offset + 4)
    chain = bytes.readUInt32(at: offset + 8)
    guard checksum(salt) == bytes.readUInt32(at: offset + 12) else { return nil }
  }

  func encode(salt: UInt64, into bytes: inout [UInt8]) {
    bytes.append(littleEndian: length)
    bytes.append(littleEndian: payloadChecksum)
    bytes.append(littleEndian: chain)
    bytes.append(littleEndian: checksum(salt))
  }

  func follows(_ previousChain: UInt32) -> Bool {
    chain == RecordHeader.chain(previousChain, length, payloadChecksum)
  }

  private func checksum(_ salt: UInt64) -> UInt32 {
    var crc = CRC32C()
    crc.update(littleEndian: salt)
    crc.update(littleEndian: length)
    crc.update(littleEndian: payloadChecksum)
    crc.update(littleEndian: chain)
    return crc.value
  }

  private static func chain(_ previous: UInt32, _ length: UInt32, _ payloadChecksum: UInt32) -> UInt32 {
    var crc = CRC32C()
    crc.update(littleEndian: previous)
    crc.update(littleEndian: length)
    crc.update(littleEndian: payloadChecksum)
    return crc.value
  }
}

/// `NNNNNNNN.journal`, at least eight decimal digits.
enum SegmentName {
  static let suffix = ".journal"
  static let temporarySuffix = ".journal.tmp"

  static func name(_ sequence: UInt64) -> String { stem(sequence) + suffix }

  static func temporaryName(_ sequence: UInt64) -> String { stem(sequence) + temporarySuffix }

  static func sequence(_ name: String) -> UInt64? {
    guard name.hasSuffix(suffix) else { return nil }
    let digits = name.utf8.dropLast(suffix.utf8.count)
    guard (8...18).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return UInt64(String(digits) ?? "")
  }

  private static func stem(_ sequence: UInt64) -> String {
    let digits = String(sequence)
    return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
  }
}

/// The bounds of the journal and the block store.
package enum JournalLimits {
  /// The most bytes in one record or block.
  package static let maximumRecordBytes = 16 << 20
  /// A segment that would grow past this many bytes is followed by a new one.
  package static let segmentBytes = 64 << 20
  /// A file of blocks with so many of them is followed by a new one.
  package static let blocksPerFile = 1_024
  /// Appends and compactions are refused while more bytes than this would wait or be in writing.
  package static let queueBytes = 64 << 20
}
