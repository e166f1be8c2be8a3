/// The texts of the TXT records in an answer of a resolver (RFC 1035, section 4). Whatever does not fit ends the reading: the
/// answer may come from anybody on the way.
enum TXTRecords {
  /// The longest answer: a TXT record has at most 65,535 bytes, and nobody needs as many.
  static let maximumAnswerBytes = 16_384
  /// The most texts that are read of one answer.
  static let maximumTexts = 16
  private static let headerBytes = 12
  private static let typeTXT: UInt16 = 16
  private static let classInternet: UInt16 = 1

  /// The strings of each record put together, in the order of the answer.
  static func texts(in answer: [UInt8]) -> [String] {
    var reader = Reader(bytes: answer[...])
    guard let header = reader.take(headerBytes) else { return [] }
    let counts = (0..<2).map {
      UInt16(header[header.startIndex + 4 + 2 * $0]) << 8 | UInt16(header[header.startIndex + 5 + 2 * $0])
    }
    for _ in 0..<counts[0] {
      guard reader.skipName(), reader.take(4) != nil else { return [] }
    }
    var texts: [String] = []
    for _ in 0..<counts[1] {
      guard texts.count < maximumTexts, reader.skipName(), let type = reader.number(), let kind = reader.number(),
        // How long it may be kept.
        reader.take(4) != nil, let length = reader.number(), let data = reader.take(Int(length))
      else { return texts }
      // An alias stands before what it leads to.
      guard type == typeTXT, kind == classInternet else { continue }
      guard let text = text(of: data) else { return texts }
      texts.append(text)
    }
    return texts
  }

  private static func text(of data: ArraySlice<UInt8>) -> String? {
    var reader = Reader(bytes: data)
    var bytes: [UInt8] = []
    while let length = reader.byte() {
      guard let part = reader.take(Int(length)) else { return nil }
      bytes += part
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private struct Reader {
    var bytes: ArraySlice<UInt8>

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
      guard bytes.count >= count else { return nil }
      defer { bytes = bytes.dropFirst(count) }
      return bytes.prefix(count)
    }

    mutating func byte() -> UInt8? { bytes.popFirst() }

    mutating func number() -> UInt16? {
      guard let high = byte(), let low = byte() else { return nil }
      return UInt16(high) << 8 | UInt16(low)
    }

    /// A name is labels up to an empty one, or up to a pointer to the rest, which nobody follows here.
    mutating func skipName() -> Bool {
      while let length = byte() {
        if length == 0 { return true }
        if length & 0xc0 == 0xc0 { return byte() != nil }
        guard length & 0xc0 == 0, take(Int(length)) != nil else { return false }
      }
      return false
    }
  }
}
