import Primitives
import Wire

/// Signatures that cost next to nothing: no secret protects them. That nobody forges is the simulator's word: an actor
/// is only ever given the signers of its own keys. What is checked is everything else about signing: who, what, and in
/// which network.
enum StandInSignatures {
  static func sign(_ message: [UInt8], by id: NodeID) -> Signature {
    var mixer = Mixer(id.value.prefix)
    mixer.add(message)
    let halves = mixer.halves
    let words = (halves.0, halves.1, id.value.prefix, UInt64(message.count))
    return withUnsafeBytes(of: words) { bytes in
      guard let half = Bytes32(bytes) else { return .zero }
      var signature = Signature.zero
      signature.first = half
      signature.second = half
      return signature
    }
  }

  static func check(_ signature: Signature, _ message: [UInt8], _ id: NodeID) -> Bool {
    signature == sign(message, by: id)
  }

  /// A signer of one key.
  static func signer(_ id: NodeID, networkID: Digest) -> Signer {
    Signer(id: id, networkID: networkID) { sign($0, by: id) }
  }
}
