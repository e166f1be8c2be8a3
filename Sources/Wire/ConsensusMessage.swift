import Primitives

/// What validators, and those who follow them, say to each other over a link.
public enum ConsensusMessage: Hashable, Sendable, WireCodable {
  /// The most block ids in one request.
  public static let maximumRequestedBlocks = 16
  /// The most views in one request for certificates.
  public static let maximumRequestedViews: UInt64 = 64
  /// The most blocks of the chain in one answer.
  public static let maximumChainBlocks = 64

  /// A vote.
  case vote(Vote)
  /// A certificate, forwarded once to every validator by each who first has it.
  case certificate(Certificate)
  /// A leader's block with the leader's own notarize.
  case proposal(Block, Vote)
  /// Send me these blocks.
  case blockRequest([Digest])
  /// Blocks that were asked for.
  case blocks([Block])
  /// Send me a certificate (notarization, nullification or finalization) for each of these views, both ends included.
  case certificateRequest(from: UInt64, to: UInt64)
  /// Certificates that were asked for.
  case certificates([Certificate])
  /// Send me final blocks from this height on.
  case chainRequest(fromHeight: UInt64)
  /// Final blocks of consecutive heights; the certificate finalizes the last of them.
  case chain([Block], finalization: Certificate)

  /// True for what must not wait behind blocks.
  public var isUrgent: Bool {
    switch self {
    case .vote, .certificate, .blockRequest, .certificateRequest, .chainRequest: true
    case .proposal, .blocks, .certificates, .chain: false
    }
  }

  /// Appends the canonical bytes.
  public func encode(into writer: inout WireWriter) {
    switch self {
    case .vote(let vote):
      writer.uint8(1)
      writer.value(vote)
    case .certificate(let certificate):
      writer.uint8(2)
      writer.value(certificate)
    case .proposal(let block, let vote):
      writer.uint8(3)
      writer.value(block)
      writer.value(vote)
    case .blockRequest(let ids):
      writer.uint8(4)
      writer.array(ids) { $0.digest($1) }
    case .blocks(let blocks):
      writer.uint8(5)
      writer.array(blocks)
    case .certificateRequest(let from, let to):
      writer.uint8(6)
      writer.varint(from)
      writer.varint(to)
    case .certificates(let certificates):
      writer.uint8(7)
      writer.array(certificates)
    case .chainRequest(let height):
      writer.uint8(8)
      writer.varint(height)
    case .chain(let blocks, let finalization):
      writer.uint8(9)
      writer.array(blocks)
      writer.value(finalization)
    }
  }

  /// Reads the canonical bytes; throws for all others.
  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.uint8() {
    case 1: self = .vote(try reader.value())
    case 2: self = .certificate(try reader.value())
    case 3:
      let block = try reader.value(Block.self)
      let vote = try reader.value(Vote.self)
      guard vote.subject.kind == .notarize, vote.subject.blockID == block.id else { throw .badValue(what: "proposal") }
      self = .proposal(block, vote)
    case 4:
      self = .blockRequest(
        try reader.array(limit: ConsensusMessage.maximumRequestedBlocks, what: "block request") {
          (reader) throws(WireError) in try reader.digest()
        })
    case 5: self = .blocks(try reader.array(limit: ConsensusMessage.maximumRequestedBlocks, what: "blocks"))
    case 6:
      let from = try reader.varint()
      let to = try reader.varint()
      guard from <= to, to - from < ConsensusMessage.maximumRequestedViews else {
        throw .badValue(what: "certificate request")
      }
      self = .certificateRequest(from: from, to: to)
    case 7:
      self = .certificates(
        try reader.array(limit: Int(ConsensusMessage.maximumRequestedViews) * 2, what: "certificates"))
    case 8: self = .chainRequest(fromHeight: try reader.varint())
    case 9:
      let blocks: [Block] = try reader.array(limit: ConsensusMessage.maximumChainBlocks, what: "chain")
      let finalization = try reader.value(Certificate.self)
      guard let last = blocks.last, finalization.subject.kind == .finalize, finalization.subject.blockID == last.id
      else { throw .badValue(what: "chain") }
      for (parent, child) in zip(blocks, blocks.dropFirst())
      where child.header.parentID != parent.id || child.header.height != parent.header.height &+ 1 {
        throw .badValue(what: "chain")
      }
      self = .chain(blocks, finalization: finalization)
    default: throw .unknownTag(what: "consensus message")
    }
  }
}
