/// A question or an answer between the services of two nodes (blobs, job logs). The core never sees it.
public struct ServiceMessage: Hashable, Sendable, WireCodable {
  /// The longest body, in bytes.
  public static let maximumBodyBytes = 1_024 * 1_024

  /// The asker's number; the answer repeats it.
  public var number: UInt64
  /// True for an answer.
  public var isAnswer: Bool
  /// Which service, from the catalogue in docs/wire-format.md.
  public var service: UInt8
  /// What the service defines.
  public var body: [UInt8]

  /// A question or an answer.
  public init(number: UInt64, isAnswer: Bool, service: UInt8, body: [UInt8]) {
    self.number = number
    self.isAnswer = isAnswer
    self.service = service
    self.body = body
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(number)
    writer.bool(isAnswer)
    writer.uint8(service)
    writer.lengthPrefixed(body)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    number = try reader.varint()
    isAnswer = try reader.bool()
    service = try reader.uint8()
    body = try reader.lengthPrefixed(limit: ServiceMessage.maximumBodyBytes, what: "service body")
  }
}
