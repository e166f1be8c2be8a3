import Primitives
import Wire

/// The `fields` form of docs/wire-format.md, taken from a value by reflection and not from its bytes: keys sorted, no
/// spaces, as Python's `json.dumps(sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes it.
func fieldsJSON(_ value: Any) -> String {
  switch value {
  case let text as String: return quoted(text)
  case let flag as Bool: return flag ? "true" : "false"
  case let number as any UnsignedInteger: return "\(number)"
  case let digest as Digest: return quoted(digest.description)
  case let id as NodeID: return quoted(Hex.encode(id.bytes))
  case let signature as Signature: return quoted(signature.description)
  case let tag as NetworkTag: return quoted(Hex.encode(tag.bytes))
  case let address as PeerAddress: return quoted(address.description)
  case let roles as Roles: return "\(roles.rawValue)"
  case let bucket as MemberDigest.Bucket: return quoted(Hex.encode(bucket.bytes))
  case let grant as InviteGrant: return quoted(Hex.encode(grant.seed.bytes))
  case let whole as WholeMessage: return fieldsJSON(whole.message)
  default: break
  }
  // An empty array of anything would pass as `[UInt8]` in a cast.
  if type(of: value) == [UInt8].self, let bytes = value as? [UInt8] { return quoted(Hex.encode(bytes)) }
  let mirror = Mirror(reflecting: value)
  switch mirror.displayStyle {
  case .optional: return mirror.children.first.map { fieldsJSON($0.value) } ?? "null"
  case .collection: return "[" + mirror.children.map { fieldsJSON($0.value) }.joined(separator: ",") + "]"
  case .enum:
    guard let payload = mirror.children.first, let name = payload.label else { return quoted("\(value)") }
    let inner = Mirror(reflecting: payload.value)
    guard inner.displayStyle == .tuple else {
      return object([("case", quoted(name)), ("value", fieldsJSON(payload.value))])
    }
    return object(
      [("case", quoted(name))]
        + inner.children.map {
          ($0.label.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 } ?? "value", fieldsJSON($0.value))
        })
  default:
    return object(mirror.children.map { ($0.label ?? "", fieldsJSON($0.value)) })
  }
}

/// An object of fields that are JSON already.
func object(_ fields: [(String, String)]) -> String {
  "{" + fields.sorted { $0.0 < $1.0 }.map { quoted($0.0) + ":" + $0.1 }.joined(separator: ",") + "}"
}

func quoted(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": quoted += "\\\""
    case "\\": quoted += "\\\\"
    case "\n": quoted += "\\n"
    case "\r": quoted += "\\r"
    case "\t": quoted += "\\t"
    case "\u{8}": quoted += "\\b"
    case "\u{c}": quoted += "\\f"
    case "\u{0}"..<"\u{20}":
      let digits = String(scalar.value, radix: 16)
      quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: quoted.unicodeScalars.append(scalar)
    }
  }
  return quoted + "\""
}
