import Primitives

/// The end of an epoch: its last block's header, what proves it final, and the validators that it names for the next
/// epoch. A chain of links from the genesis proves the validators of any later epoch; epochs after which the set stays
/// the same may be left out, since the set that is known then signs the later link, too.
public struct EpochLink: Hashable, Sendable, WireCodable {
  /// The last block of the epoch.
  public let header: BlockHeader
  /// The finalization of that block, in whichever view it was proposed or proposed again.
  public let finalization: Certificate
  /// The validators of the epoch after it.
  public let next: [Validator]

  /// A link; nil when the parts do not fit each other.
  public init?(header: BlockHeader, finalization: Certificate, next: [Validator]) {
    guard EpochLink.fits(header, finalization, next) else { return nil }
    self.header = header
    self.finalization = finalization
    self.next = next
  }

  private static func fits(_ header: BlockHeader, _ finalization: Certificate, _ next: [Validator]) -> Bool {
    finalization.subject.kind == .finalize && finalization.subject.epoch == header.epoch
      && finalization.subject.blockID == header.id && header.epoch < UInt64.max
      && ValidatorSet(epoch: header.epoch + 1, validators: next) != nil
      && header.nextValidators == ValidatorSet.digest(of: next)
  }

  /// The validators of the epoch after this one.
  public var nextSet: ValidatorSet {
    guard let set = ValidatorSet(epoch: header.epoch + 1, validators: next) else {
      preconditionFailure("a link is only made with a valid set")
    }
    return set
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    writer.value(header)
    writer.value(finalization)
    writer.array(next)
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    header = try reader.value()
    finalization = try reader.value()
    next = try reader.array(limit: ValidatorSet.maximumCount, what: "validators")
    guard EpochLink.fits(header, finalization, next) else { throw .badValue(what: "epoch link") }
  }
}
