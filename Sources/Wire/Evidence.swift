import Primitives

/// Two votes of one validator that no honest validator signs together: proof of a fault that anyone can check.
public struct Evidence: Hashable, Sendable, WireCodable {
  /// How two votes contradict each other.
  public enum Kind: UInt8, Hashable, Sendable {
    /// Two blocks notarized in one view.
    case conflictingNotarize = 1
    /// Two blocks finalized in one view.
    case conflictingFinalize = 2
    /// A view both nullified and finalized.
    case nullifyAndFinalize = 3

    /// The name for people and counters.
    public var name: String {
      switch self {
      case .conflictingNotarize: "conflicting-notarize"
      case .conflictingFinalize: "conflicting-finalize"
      case .nullifyAndFinalize: "nullify-and-finalize"
      }
    }
  }

  /// The key under which both signatures verify: the ledger compares it with the validator's in the epoch.
  public let key: NodeID
  /// The vote with the lower subject.
  public let first: Vote
  /// The vote with the higher subject.
  public let second: Vote

  /// The evidence of two votes under one key, in either order; nil when they do not contradict each other.
  public init?(key: NodeID, _ one: Vote, _ other: Vote) {
    let (first, second) = one.subject < other.subject ? (one, other) : (other, one)
    guard Evidence.kind(of: first, second) != nil else { return nil }
    self.key = key
    self.first = first
    self.second = second
  }

  /// What the two votes prove.
  public var kind: Kind {
    guard let kind = Evidence.kind(of: first, second) else {
      preconditionFailure("evidence is only made of votes that contradict each other")
    }
    return kind
  }

  /// The epoch of both votes.
  public var epoch: UInt64 { first.subject.epoch }
  /// The voter number of both votes.
  public var voter: UInt16 { first.voter }

  private static func kind(of first: Vote, _ second: Vote) -> Kind? {
    let (left, right) = (first.subject, second.subject)
    guard first.voter == second.voter, left.epoch == right.epoch, left.view == right.view, left < right else {
      return nil
    }
    switch (left.kind, right.kind) {
    case (.notarize, .notarize): return .conflictingNotarize
    case (.finalize, .finalize): return .conflictingFinalize
    case (.nullify, .finalize): return .nullifyAndFinalize
    default: return nil
    }
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(key)
    writer.value(first)
    writer.value(second)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    key = try reader.nodeID()
    first = try reader.value()
    second = try reader.value()
    guard Evidence.kind(of: first, second) != nil else { throw .badValue(what: "evidence") }
  }
}

/// A new key for a validator's votes, with the proof that whoever names it can sign with it.
public struct VoteKey: Hashable, Sendable, WireCodable {
  /// The Ed25519 key.
  public let key: NodeID
  /// By `key` over `statement(networkID:node:key:)`.
  public let proof: Signature

  /// A key with its proof.
  public init(key: NodeID, proof: Signature) {
    self.key = key
    self.proof = proof
  }

  /// What the proof signs: `"linnet/1/vote-key" + 0x00`, the network id, the validator's node and the key.
  public static func statement(networkID: Digest, node: NodeID, key: NodeID) -> [UInt8] {
    var writer = WireWriter()
    writer.raw(Array("linnet/1/vote-key".utf8) + [0])
    writer.digest(networkID)
    writer.nodeID(node)
    writer.nodeID(key)
    return writer.bytes
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.nodeID(key)
    writer.signature(proof)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    key = try reader.nodeID()
    proof = try reader.signature()
  }
}
