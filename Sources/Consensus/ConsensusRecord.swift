import Primitives
import Wire

/// What consensus writes into the journal and gets back, in order, after a restart.
public enum ConsensusRecord: Sendable, Hashable, WireCodable {
  /// A vote of this node: it binds for ever.
  case ownVote(Vote)
  /// A certificate that was first held here.
  case certificate(Certificate)
  /// A block that was certified: notarized, executed, its state root checked.
  case certified(Block)

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .ownVote(let vote):
      writer.uint8(1)
      writer.value(vote)
    case .certificate(let certificate):
      writer.uint8(2)
      writer.value(certificate)
    case .certified(let block):
      writer.uint8(3)
      writer.value(block)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 1: self = .ownVote(try reader.value())
    case 2: self = .certificate(try reader.value())
    case 3: self = .certified(try reader.value())
    default: throw .unknownTag(what: "consensus record")
    }
  }
}
