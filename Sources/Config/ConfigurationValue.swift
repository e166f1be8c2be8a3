/// A value in the few shapes that a key can have, whichever source it came from.
enum ConfigurationValue: Hashable, Sendable {
  case boolean(Bool)
  case integer(UInt64)
  case text(String)
  case list([String])

  /// TOML notation.
  var rendered: String {
    switch self {
    case .boolean(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .text(let value): TOMLText.quoted(value)
    case .list(let values): TOMLText.quoted(values)
    }
  }
}

/// A value as it was found, before it is checked: of any TOML type, or bare text from environment or flag.
enum FoundValue {
  case boolean(Bool)
  case integer(Int)
  case text(String)
  case list([FoundValue])
  case table([TOMLDocument.Item])
  /// A TOML type that no key has, by its name.
  case other(String)
  /// Text without a type: what it is depends on the key.
  case bare(String)

  /// What was found, for a person.
  var described: String {
    switch self {
    case .boolean(let value): "the boolean \(value)"
    case .integer(let value): "the integer \(value)"
    case .text(let value): "the string \(ConfigurationValue.text(value).rendered)"
    case .list(let values): values.isEmpty ? "an empty array" : "an array"
    case .table: "a table"
    case .other(let name): name.hasPrefix("a") ? "an \(name)" : "a \(name)"
    case .bare(let value): ConfigurationValue.text(value).rendered
    }
  }
}

/// The refusal of a found value: what kind and what to tell the person.
struct ValueRefusal: Error {
  let code: ConfigurationProblem.Code
  let message: String
}
