import Ledger
import Primitives
import Wire

/// The hash chain that this node registers and reveals from as a leader: element k is H^(length-1-k)(seed).
///
/// The seed is a signature that only this node can make, and the same each time (Ed25519 is deterministic): nothing need
/// be kept on the disk for it. The length is part of what is signed and stands in the ledger's record, so it tells after
/// any restart which chain was registered; no two chains of a node share a length, but for chance.
struct RevealChain: Sendable {
  let length: UInt64
  /// What is registered.
  let tip: Digest
  /// H^(i·spacing)(seed): about √length of them, so that an element costs as many hashes.
  private let checkpoints: [Digest]
  private let spacing: UInt64

  /// Computes the whole chain once: `length` hashes.
  init(signer: Signer, length: UInt64) {
    let length = min(max(1, length), TransactionAction.maximumBeaconLength)
    var writer = WireWriter()
    writer.raw(Array("linnet/1/beacon-seed".utf8) + [0])
    writer.digest(signer.networkID)
    writer.uint64(length)
    var spacing: UInt64 = 1
    while spacing * spacing < length { spacing += 1 }
    var element = Digest(hashing: signer.sign(writer.bytes).bytes)
    var checkpoints: [Digest] = []
    for step in 0..<length {
      if step % spacing == 0 { checkpoints.append(element) }
      element = BeaconHash.step(element)
    }
    self.length = length
    self.spacing = spacing
    self.checkpoints = checkpoints
    tip = element
  }

  /// The element to reveal at an index; nil past the end.
  func element(_ index: UInt64) -> Digest? {
    guard index < length else { return nil }
    let steps = length - 1 - index
    var element = checkpoints[Int(steps / spacing)]
    for _ in 0..<(steps % spacing) { element = BeaconHash.step(element) }
    return element
  }
}

/// The chains at hand: the one in use, and the one registered to follow it.
struct RevealChains: Sendable {
  private static let maximumChains = 2

  /// The latest used comes last.
  private var chains: [RevealChain] = []

  var count: Int { chains.count }
  static var limit: Int { maximumChains }

  mutating func chain(length: UInt64, signer: Signer) -> RevealChain {
    if let found = chains.first(where: { $0.length == length }) { return found }
    if chains.count >= RevealChains.maximumChains { chains.removeFirst() }
    let chain = RevealChain(signer: signer, length: length)
    chains.append(chain)
    return chain
  }
}
