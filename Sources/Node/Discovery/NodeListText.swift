import Primitives
import Wire

/// A list of nodes as a TXT record has it: `linnet1=` and the bech32m text of an envelope that a validator of the genesis
/// has signed. There is no other key that all nodes of a network know.
package enum NodeListText {
  private static let mark = "linnet1="
  private static let prefix = "lnlist"
  /// The longest text: an envelope with the longest list.
  private static let maximumLength = 2_048

  /// The text of a list that was signed.
  package static func text(of list: Verified<Message>) -> String {
    mark + Bech32m.encode(list.value.envelope.encoded, prefix: prefix)
  }

  /// Whether a text of a TXT record is meant for a network of Linnet at all: a name may have others.
  static func isMeant(_ text: String) -> Bool { text.hasPrefix(mark) }

  /// The nodes of a text that a validator of the genesis signed and that still holds.
  static func read(
    _ text: String, genesis: Genesis, verifier: Verifier, unixSeconds: UInt64
  ) throws(NodeListRefusal) -> [NodeHint] {
    guard isMeant(text),
      let bytes = Bech32m.decode(text.dropFirst(mark.count), prefix: prefix, maximumLength: maximumLength)
    else { throw .damaged }
    let message: Verified<Message>
    do throws(VerificationError) { message = try verifier.open(bytes) } catch { throw .notSigned(error) }
    guard case .nodeList(let list) = message.value.body else { throw .damaged }
    guard genesis.validators.contains(message.value.author) else { throw .notAValidator(message.value.author) }
    guard list.expiresUnixSeconds > unixSeconds else { throw .expired }
    return list.nodes
  }
}

/// Why the list of a TXT record is not believed.
enum NodeListRefusal: Error, CustomStringConvertible {
  case damaged
  case notSigned(VerificationError)
  case notAValidator(NodeID)
  case expired

  var description: String {
    switch self {
    case .damaged: "it is damaged"
    case .notSigned(let error): "its signature does not hold for this network (\(error))"
    case .notAValidator(let id): "it is signed by \(id.short), no validator of the genesis"
    case .expired: "it has expired: have `linnet genesis list` make another"
    }
  }
}
