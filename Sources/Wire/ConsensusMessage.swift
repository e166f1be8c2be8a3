import Primitives

/// What validators, and those who follow them, say to each other over a link.
public enum ConsensusMessage: Hashable, Sendable, WireCodable {
  /// The most block ids in one request.
  public static let maximumRequestedBlocks = 16
  /// The most views in one request for certificates.
  public static let maximumRequestedViews: UInt64 = 64
  /// The most blocks of the chain in one answer.
  public static let maximumChainBlocks = 64
  /// The most links in one answer.
  public static let maximumEpochLinks = 64

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
  /// Final blocks of consecutive heights and of one epoch; the certificate finalizes the last of them.
  case chain([Block], finalization: Certificate)
  /// Send me the links of the epochs from this one on, those that changed the validators and the last.
  case epochRequest(fromEpoch: UInt64)
  /// Links of ascending epochs.
  case epochs([EpochLink])
  /// Send me the chunk that covers this key hash, of the state after the epoch's last block at this height.
  case snapshotRequest(height: UInt64, covering: Digest)
  /// A chunk that was asked for.
  case snapshot(SnapshotChunk)
  /// Rule 13: for a while relay to me the votes and proposals of these validators, which I have no link to.
  case relayRequest(epoch: UInt64, voters: [UInt16])

  /// True for what must not wait behind blocks.
  public var isUrgent: Bool {
    switch self {
    case .vote, .certificate, .blockRequest, .certificateRequest, .chainRequest, .epochRequest, .snapshotRequest,
      .relayRequest:
      true
    case .proposal, .blocks, .certificates, .chain, .epochs, .snapshot: false
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
    case .epochRequest(let epoch):
      writer.uint8(10)
      writer.varint(epoch)
    case .epochs(let links):
      writer.uint8(11)
      writer.array(links)
    case .snapshotRequest(let height, let place):
      writer.uint8(12)
      writer.varint(height)
      writer.digest(place)
    case .snapshot(let chunk):
      writer.uint8(13)
      writer.value(chunk)
    case .relayRequest(let epoch, let voters):
      writer.uint8(14)
      writer.varint(epoch)
      writer.array(voters) { $0.uint16($1) }
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
      guard vote.subject.kind == .notarize, vote.subject.blockID == block.id,
        vote.subject.epoch == block.header.epoch
      else { throw .badValue(what: "proposal") }
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
      guard let last = blocks.last, finalization.subject.kind == .finalize, finalization.subject.blockID == last.id,
        finalization.subject.epoch == last.header.epoch
      else { throw .badValue(what: "chain") }
      for (parent, child) in zip(blocks, blocks.dropFirst())
      where child.header.parentID != parent.id || child.header.height != parent.header.height &+ 1
        || child.header.epoch != parent.header.epoch
      {
        throw .badValue(what: "chain")
      }
      self = .chain(blocks, finalization: finalization)
    case 10: self = .epochRequest(fromEpoch: try reader.varint())
    case 11:
      let links: [EpochLink] = try reader.array(limit: ConsensusMessage.maximumEpochLinks, what: "epoch links")
      for (link, later) in zip(links, links.dropFirst()) where later.header.epoch <= link.header.epoch {
        throw .badValue(what: "epoch links")
      }
      self = .epochs(links)
    case 12: self = .snapshotRequest(height: try reader.varint(), covering: try reader.digest())
    case 13: self = .snapshot(try reader.value())
    case 14:
      let epoch = try reader.varint()
      let voters = try reader.ascending(limit: ValidatorSet.maximumCount, what: "relayed voters", by: { $0 }) {
        (reader) throws(WireError) in try reader.uint16()
      }
      self = .relayRequest(epoch: epoch, voters: voters)
    default: throw .unknownTag(what: "consensus message")
    }
  }
}
