import Primitives
import Wire

/// A genesis as it comes in parts from a node that need not be trusted: nothing counts but that the whole hashes to the
/// network id.
struct GenesisAssembly {
  let networkID: Digest
  private var bytes: [UInt8] = []
  private var total: UInt64?

  init(networkID: Digest) { self.networkID = networkID }

  /// What to ask for next.
  var request: GenesisRequest { GenesisRequest(offset: UInt64(bytes.count)) }

  /// Takes the answer to `request`. Answers the genesis once it is whole, nil while parts are missing.
  mutating func take(_ answer: GenesisAnswer) throws(JoinError) -> Genesis? {
    if let total, total != answer.total { throw GenesisAssembly.differs("its length changed under way") }
    total = answer.total
    let length = UInt64(bytes.count + answer.bytes.count)
    guard length <= answer.total else { throw GenesisAssembly.differs("it is longer than it was said to be") }
    bytes += answer.bytes
    if length == answer.total { return try whole() }
    guard !answer.bytes.isEmpty else { throw GenesisAssembly.differs("a part of it is missing") }
    return nil
  }

  private func whole() throws(JoinError) -> Genesis {
    let genesis: Genesis
    do { genesis = try Genesis(decoding: bytes) } catch {
      throw GenesisAssembly.differs("it can't be understood: \(error)")
    }
    // The codec is canonical: these bytes are the only ones of this genesis.
    guard genesis.networkID == networkID else { throw GenesisAssembly.differs("its hash is not the network's id") }
    return genesis
  }

  static func differs(_ how: String) -> JoinError {
    JoinError(
      .genesisDiffers, "the node sent another genesis than the invite names (\(how))",
      suggestion: "have an invite made on another node of the network, and be wary of this one")
  }
}
