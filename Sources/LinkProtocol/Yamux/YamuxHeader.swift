/// What a frame is (Yamux specification, "Type Field").
enum YamuxFrameType: UInt8, Sendable {
  case data
  case windowUpdate
  case ping
  case goAway
}

/// The flags of a frame (Yamux specification, "Flag Field").
struct YamuxFlags: OptionSet, Sendable {
  var rawValue: UInt16

  /// Opens a stream; on a ping: a request.
  static let syn = YamuxFlags(rawValue: 1)
  /// Accepts a stream; on a ping: the answer.
  static let ack = YamuxFlags(rawValue: 2)
  /// The sender sends no more on the stream.
  static let fin = YamuxFlags(rawValue: 4)
  /// Ends the stream at once, both ways.
  static let rst = YamuxFlags(rawValue: 8)

  static let ofStreams: YamuxFlags = [.syn, .ack, .fin, .rst]
}

/// The header of a frame: version, type, flags in two bytes, stream and length in four each, big-endian.
package struct YamuxHeader: Equatable, Sendable {
  /// Bytes of a header.
  package static let byteCount = 12
  static let version: UInt8 = 0

  var type: YamuxFrameType
  var flags: YamuxFlags = []
  /// 0 for the session as a whole.
  var stream: UInt32 = 0
  /// Data: bytes that follow. Window update: bytes granted. Ping: the value to be echoed. Go-away: the code.
  var length: UInt32

  /// The header in its twelve bytes.
  func append(to bytes: inout [UInt8]) {
    bytes.append(YamuxHeader.version)
    bytes.append(type.rawValue)
    bytes.append(UInt8(truncatingIfNeeded: flags.rawValue >> 8))
    bytes.append(UInt8(truncatingIfNeeded: flags.rawValue))
    for word in [stream, length] {
      for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
  }
}

extension YamuxHeader {
  /// Reads a header of exactly `byteCount` bytes and judges what can be judged without knowing any stream.
  init(_ bytes: UnsafeRawBufferPointer) throws(YamuxViolation) {
    guard bytes[0] == YamuxHeader.version else { throw .version(bytes[0]) }
    guard let type = YamuxFrameType(rawValue: bytes[1]) else { throw .type(bytes[1]) }
    self.type = type
    flags = YamuxFlags(rawValue: UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
    stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    length = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    let hasLegalFlags =
      switch type {
      case .data, .windowUpdate: flags.isSubset(of: .ofStreams)
      case .ping: flags == .syn || flags == .ack
      case .goAway: flags.isEmpty
      }
    guard hasLegalFlags else { throw .flags(flags.rawValue, type: type.rawValue) }
    switch type {
    case .data, .windowUpdate: if stream == 0 { throw .streamFrameOnSession }
    case .ping, .goAway: if stream != 0 { throw .sessionFrameOnStream(stream) }
    }
  }
}
