import Primitives
import Wire

/// Bytes that must not decode, and why: tested here and written into docs/wire-vectors.json for other implementations.
struct Refusal: Sendable, CustomStringConvertible {
  let type: String
  let why: String
  let error: WireError
  let bytes: [UInt8]

  var description: String { "\(type): \(why)" }

  init(_ type: String, _ why: String, _ error: WireError, _ write: (inout WireWriter) -> Void) {
    self.type = type
    self.why = why
    self.error = error
    var writer = WireWriter()
    write(&writer)
    bytes = writer.bytes
  }

  static func all() throws -> [Refusal] {
    try primitives() + membership() + ledger() + validators() + jobs() + genesis() + blocks() + votes() + links()
      + epochs() + snapshots() + lists() + digests() + invites() + services()
  }

  static func primitives() throws -> [Refusal] {
    var sampler = try Sampler(seed: 10)
    let usage: [([UInt8], String, WireError)] = [
      ([0x80, 0x00], "a varint with a needless byte", .varintNotMinimal),
      ([0xff, 0x80, 0x00], "a varint with a needless last byte", .varintNotMinimal),
      ([UInt8](repeating: 0xff, count: 9) + [0x02], "a varint of 65 bits", .varintNotMinimal),
      ([UInt8](repeating: 0x80, count: 10) + [0x01], "a varint of 11 bytes", .varintNotMinimal),
      ([0x80], "a varint without its end", .truncated),
    ]
    let texts: [([UInt8], String)] = [
      ([0x61, 0x00], "a text with a NUL"), ([0xc0, 0xaf], "overlong UTF-8"),
      ([0xed, 0xa0, 0x80], "a surrogate in UTF-8"),
      ([0xff], "no UTF-8"), ([0xe2, 0x82], "a text cut inside a character"),
      ([0xf4, 0x90, 0x80, 0x80], "a character above U+10FFFF"),
    ]
    let good = sampler.address().encoded
    return usage.map { bytes, why, error in
      Refusal("Usage", why, error) { writer in
        writer.raw([1, 2])
        writer.raw(bytes)
      }
    }
      + texts.map { bytes, why in
        Refusal("Label", why, .badValue(what: "label key")) { writer in
          writer.lengthPrefixed(bytes)
          writer.string("value")
        }
      }
      + [
        Refusal("Label", "a length over the rest", .truncated) { $0.raw([10, 0x61]) },
        Refusal("Label", "a length of 2^64 - 1", .tooLong(what: "label key")) { $0.varint(.max) },
        Refusal("Input", "a flag of 2", .badValue(what: "flag")) { writer in
          writer.string("name")
          writer.digest(.zero)
          writer.uint8(2)
        },
        Refusal("PeerAddress", "address family 5", .unknownTag(what: "address family")) {
          $0.raw([5] + good.dropFirst())
        },
        Refusal("PeerAddress", "a mapped IPv4 address in IPv6 form", .badValue(what: "address")) { writer in
          writer.raw([6] + [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 127, 0, 0, 1, 1, 0])
        },
        Refusal("PeerAddress", "a byte after the value", .trailingBytes) { $0.raw(good + [0]) },
        Refusal("PeerAddress", "no byte at all", .truncated) { _ in },
      ]
  }
}
