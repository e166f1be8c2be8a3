import Primitives
import Wire

/// A provider: its offer, its bond and what its leases take of the offer. Key: the identity that made the offer.
public struct ProviderRecord: Hashable, Sendable, WireCodable {
  /// What it offers; nil after a withdrawal, while the bond is still held.
  public var offer: OfferTerms?
  /// The bond.
  public var bondMicrocredits: UInt64
  /// Taken by leases that have not ended, in thousandths of a CPU.
  public var usedCPUMilli: UInt64
  /// Taken by leases that have not ended.
  public var usedMemoryBytes: UInt64
  /// Taken by leases that have not ended.
  public var usedDiskBytes: UInt64
  /// Bit i: the GPU at position i of the offer is taken. Positions outlive a change of the offer.
  public var usedGPUs: UInt16
  /// Leases that have not ended.
  public var leaseCount: UInt32
  /// Leases that are active: those that must be renewed.
  public var activeLeaseCount: UInt32
  /// Ledger time in milliseconds at which the active leases time out; 0 without any.
  public var renewDeadlineMilliseconds: UInt64
  /// True from a quorum's `down` until a quorum's `up`.
  public var isAttestedDown: Bool
  /// Ledger time in milliseconds at which the bond of a withdrawn offer returns; 0 while the offer stands.
  public var bondReturnsMilliseconds: UInt64

  init(bondMicrocredits: UInt64) {
    offer = nil
    self.bondMicrocredits = bondMicrocredits
    usedCPUMilli = 0
    usedMemoryBytes = 0
    usedDiskBytes = 0
    usedGPUs = 0
    leaseCount = 0
    activeLeaseCount = 0
    renewDeadlineMilliseconds = 0
    isAttestedDown = false
    bondReturnsMilliseconds = 0
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.optional(offer) { $0.value($1) }
    writer.varint(bondMicrocredits)
    writer.varint(usedCPUMilli)
    writer.varint(usedMemoryBytes)
    writer.varint(usedDiskBytes)
    writer.uint16(usedGPUs)
    writer.uint32(leaseCount)
    writer.uint32(activeLeaseCount)
    writer.varint(renewDeadlineMilliseconds)
    writer.bool(isAttestedDown)
    writer.varint(bondReturnsMilliseconds)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    offer = try reader.optional { (reader) throws(WireError) in try OfferTerms(from: &reader) }
    bondMicrocredits = try reader.varint()
    usedCPUMilli = try reader.varint()
    usedMemoryBytes = try reader.varint()
    usedDiskBytes = try reader.varint()
    usedGPUs = try reader.uint16()
    leaseCount = try reader.uint32()
    activeLeaseCount = try reader.uint32()
    renewDeadlineMilliseconds = try reader.varint()
    isAttestedDown = try reader.bool()
    bondReturnsMilliseconds = try reader.varint()
  }
}
