import Primitives
import Wire

/// Asks a provider for a part of a job's output stream.
struct LogRequest: Hashable, Sendable, WireCodable {
  var lease: Digest
  /// True for standard error.
  var isError: Bool
  /// Bytes of the stream before the part.
  var offset: UInt64

  init(lease: Digest, isError: Bool, offset: UInt64) {
    self.lease = lease
    self.isError = isError
    self.offset = offset
  }

  func encode(into writer: inout WireWriter) {
    writer.digest(lease)
    writer.bool(isError)
    writer.varint(offset)
  }

  init(from reader: inout WireReader) throws(WireError) {
    lease = try reader.digest()
    isError = try reader.bool()
    offset = try reader.varint()
  }
}

/// A part of an output stream.
struct LogAnswer: Hashable, Sendable, WireCodable {
  /// The most bytes of one part.
  static let maximumBytes = 64 * 1_024

  var bytes: [UInt8]
  /// The offset to ask for next.
  var nextOffset: UInt64
  /// True when the job has ended and nothing follows.
  var isComplete: Bool

  init(bytes: [UInt8], nextOffset: UInt64, isComplete: Bool) {
    self.bytes = bytes
    self.nextOffset = nextOffset
    self.isComplete = isComplete
  }

  func encode(into writer: inout WireWriter) {
    writer.lengthPrefixed(bytes)
    writer.varint(nextOffset)
    writer.bool(isComplete)
  }

  init(from reader: inout WireReader) throws(WireError) {
    bytes = try reader.lengthPrefixed(limit: LogAnswer.maximumBytes, what: "log part")
    nextOffset = try reader.varint()
    isComplete = try reader.bool()
  }
}
