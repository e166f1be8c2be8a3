// What leaders reveal. A chain of `length` hashes over a seed has the tip H^length(seed); its element k is
// H^(length-1-k)(seed), so that H(element 0) is the tip and H(element k) is element k-1.
//
// 1. In view v of an epoch of n validators, a leader with a chain reveals the element at base + ⌊(v-1)/n⌋, where base is
//    the number of elements used up before the epoch. What lies between the last one revealed and that is burnt.
// 2. A leader without a chain, or whose chain does not reach so far, reveals nothing.
// 3. A first chain holds from the next block, a later one from the next epoch.
// 4. The beacon takes in what was revealed, or the parent's id when nothing was.

import Primitives
import Wire

/// The hash that leaders' chains are made of.
public enum BeaconHash {
  /// One step of a chain, from an element to the one revealed before it: the hash of `"linnet/1/beacon" + 0x00` and
  /// the element.
  public static func step(_ element: Digest) -> Digest {
    Digest(hashing: Array("linnet/1/beacon".utf8) + [0] + element.bytes)
  }
}

/// How far a validator's hash chain is used up.
public struct BeaconChain: Hashable, Sendable, WireCodable {
  /// The element last revealed; the tip before the first.
  public internal(set) var lastElement: Digest
  /// The number of elements used up: one above the index of the last revealed.
  public internal(set) var usedCount: UInt64
  /// The number of elements it has.
  public let length: UInt64
  /// The elements used up before this epoch.
  public internal(set) var baseIndex: UInt64

  init(tip: Digest, length: UInt64) {
    lastElement = tip
    usedCount = 0
    self.length = length
    baseIndex = 0
  }

  /// The index to reveal in a view of an epoch of `validatorCount` validators (rule 1); nil when the chain does not
  /// reach so far.
  public func index(view: UInt64, validatorCount: Int) -> UInt64? {
    guard view > 0, validatorCount > 0 else { return nil }
    let (index, overflow) = baseIndex.addingReportingOverflow((view - 1) / UInt64(validatorCount))
    return overflow || index >= length ? nil : index
  }

  /// Takes in the element at an index; false when it is not the chain's. Hashes once for each element from the last
  /// revealed to this one: at most `TransactionAction.maximumBeaconLength` times.
  mutating func take(_ element: Digest, at index: UInt64) -> Bool {
    guard index >= usedCount, index < length, length <= TransactionAction.maximumBeaconLength else { return false }
    var reached = element
    for _ in usedCount...index { reached = BeaconHash.step(reached) }
    guard reached == lastElement else { return false }
    lastElement = element
    usedCount = index + 1
    return true
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.digest(lastElement)
    writer.varint(usedCount)
    writer.varint(length)
    writer.varint(baseIndex)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    lastElement = try reader.digest()
    usedCount = try reader.varint()
    length = try reader.varint()
    baseIndex = try reader.varint()
  }
}

extension BlockExecution {
  /// Checks what the leader revealed and mixes the beacon; false when it is not what its chain demands.
  mutating func takeReveal(_ reveal: Digest, view: UInt64, parentID: Digest) -> Bool {
    var record = state.validators[leader]
    guard let index = record?.beacon?.index(view: view, validatorCount: validators.count) else {
      chain.beacon = Digest(domain: 2, chain.beacon, parentID)
      return reveal == .zero
    }
    guard record?.beacon?.take(reveal, at: index) == true else { return false }
    state.validators[leader] = record
    chain.beacon = Digest(domain: 2, chain.beacon, reveal)
    return true
  }

  mutating func registerBeacon(tip: Digest, length: UInt64, by author: NodeID) throws(TransactionRefusal) {
    guard var record = state.validators[author] else { throw .notStaked }
    guard (1...TransactionAction.maximumBeaconLength).contains(length) else { throw .badBeaconLength }
    let chain = BeaconChain(tip: tip, length: length)
    if record.beacon == nil { record.beacon = chain } else { record.nextBeacon = chain }
    state.validators[author] = record
  }
}
