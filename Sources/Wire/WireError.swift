/// Why bytes were refused. Every case is an ordinary answer to a peer's input, never a crash.
public enum WireError: Error, Equatable, Sendable {
  /// The bytes end inside a value.
  case truncated
  /// Bytes are left after the value.
  case trailingBytes
  /// A variable-length integer is longer than needed or over 64 bits.
  case varintNotMinimal
  /// A count or length is above the bound of `what`.
  case tooLong(what: String)
  /// A tag has no meaning in `what`.
  case unknownTag(what: String)
  /// `what` must be strictly ascending and is not.
  case notAscending(what: String)
  /// A value is outside what `what` allows.
  case badValue(what: String)

  /// The name under which a refusal is counted.
  public var counter: String {
    switch self {
    case .truncated: "decodeTruncated"
    case .trailingBytes: "decodeTrailingBytes"
    case .varintNotMinimal: "decodeVarintNotMinimal"
    case .tooLong: "decodeTooLong"
    case .unknownTag: "decodeUnknownTag"
    case .notAscending: "decodeNotAscending"
    case .badValue: "decodeBadValue"
    }
  }
}
