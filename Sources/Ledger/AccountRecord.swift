import Primitives
import Wire

/// An account. Its key is the identity that signs for it. Accounts are never removed: the nonce keeps old
/// transactions from being played again.
public struct AccountRecord: Hashable, Sendable, WireCodable {
  /// What it can spend.
  public var balanceMicrocredits: UInt64
  /// The nonce of its next transaction.
  public var nonce: UInt64
  /// What its offer and the leases it accepted have locked.
  public var bondedMicrocredits: UInt64
  /// What its jobs that have not ended have locked.
  public var escrowMicrocredits: UInt64

  init(balanceMicrocredits: UInt64 = 0) {
    self.balanceMicrocredits = balanceMicrocredits
    nonce = 0
    bondedMicrocredits = 0
    escrowMicrocredits = 0
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.varint(balanceMicrocredits)
    writer.varint(nonce)
    writer.varint(bondedMicrocredits)
    writer.varint(escrowMicrocredits)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    balanceMicrocredits = try reader.varint()
    nonce = try reader.varint()
    bondedMicrocredits = try reader.varint()
    escrowMicrocredits = try reader.varint()
  }
}
