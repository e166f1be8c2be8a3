import Primitives
import Wire

// What goes over links: messages, epochs, snapshots.

extension Refusal {
  static func links() throws -> [Refusal] {
    var sampler = try Sampler(seed: 16)
    let first = sampler.block()
    let second = sampler.block(parent: first.header)
    let nack = sampler.message(.nack, key: 0).envelope
    let list = sampler.message(.nodeList, key: 0).envelope
    let chain = WireError.badValue(what: "chain")
    let proposal = WireError.badValue(what: "proposal")
    let onSecond = sampler.finalization(of: second.header)
    let onFirst = sampler.finalization(of: first.header)
    let notarization = sampler.certificate(
      sampler.subject(.notarize, blockID: second.id, epoch: second.header.epoch))
    let ofAnotherEpoch = sampler.certificate(
      sampler.subject(.finalize, blockID: second.id, epoch: second.header.epoch + 1))
    let epoch = first.header.epoch
    let wrongKind = sampler.vote(sampler.subject(.finalize, blockID: first.id, epoch: epoch))
    let wrongBlock = sampler.vote(sampler.subject(.notarize, blockID: second.id, epoch: epoch))
    let wrongEpoch = sampler.vote(sampler.subject(.notarize, blockID: first.id, epoch: epoch + 1))
    func chained(_ blocks: [Block], _ certificate: Certificate) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint8(9)
        writer.array(blocks)
        writer.value(certificate)
      }
    }
    var far = second.header
    far.height += 1
    let skipped = Block(header: far, transactions: second.transactions) ?? second
    let onSkipped = sampler.finalization(of: skipped.header)
    var late = second.header
    late.epoch += 1
    let crossing = Block(header: late, transactions: second.transactions) ?? second
    let onCrossing = sampler.finalization(of: crossing.header)
    func tagged(_ bytes: [UInt8], count: UInt64) -> (inout WireWriter) -> Void {
      { writer in
        writer.raw(bytes)
        writer.varint(count)
      }
    }
    return [
      Refusal("ConsensusMessage", "tag 0", .unknownTag(what: "consensus message")) { $0.uint8(0) },
      Refusal("ConsensusMessage", "tag 15", .unknownTag(what: "consensus message")) { $0.uint8(15) },
      Refusal("ConsensusMessage", "a proposal with a finalize", proposal) { writer in
        writer.uint8(3)
        writer.value(first)
        writer.value(wrongKind)
      },
      Refusal("ConsensusMessage", "a proposal with a vote for another block", proposal) { writer in
        writer.uint8(3)
        writer.value(first)
        writer.value(wrongBlock)
      },
      Refusal("ConsensusMessage", "a proposal with a vote of another epoch", proposal) { writer in
        writer.uint8(3)
        writer.value(first)
        writer.value(wrongEpoch)
      },
      Refusal("ConsensusMessage", "17 blocks asked for", .tooLong(what: "block request"), tagged([4], count: 17)),
      Refusal("ConsensusMessage", "17 blocks", .tooLong(what: "blocks"), tagged([5], count: 17)),
      Refusal("ConsensusMessage", "64 views further", .badValue(what: "certificate request")) { writer in
        writer.raw([6, 1])
        writer.varint(65)
      },
      Refusal("ConsensusMessage", "views backwards", .badValue(what: "certificate request")) { $0.raw([6, 2, 1]) },
      Refusal("ConsensusMessage", "129 certificates", .tooLong(what: "certificates"), tagged([7], count: 129)),
      Refusal("ConsensusMessage", "a chain of 65 blocks", .tooLong(what: "chain"), tagged([9], count: 65)),
      Refusal("ConsensusMessage", "a chain of no blocks", chain, chained([], onFirst)),
      Refusal("ConsensusMessage", "a chain that ends elsewhere", chain, chained([first, second], onFirst)),
      Refusal("ConsensusMessage", "a chain with a notarization", chain, chained([first, second], notarization)),
      Refusal("ConsensusMessage", "a chain in the wrong order", chain, chained([second, first], onFirst)),
      Refusal("ConsensusMessage", "a chain with a gap", chain, chained([first, first, second], onSecond)),
      Refusal("ConsensusMessage", "a chain that skips a height", chain, chained([first, skipped], onSkipped)),
      Refusal("ConsensusMessage", "a chain across two epochs", chain, chained([first, crossing], onCrossing)),
      Refusal(
        "ConsensusMessage", "a chain finalized in another epoch", chain, chained([first, second], ofAnotherEpoch)),
      Refusal("GossipMessage", "tag 0", .unknownTag(what: "gossip message")) { $0.raw([0, 0]) },
      Refusal("GossipMessage", "tag 7", .unknownTag(what: "gossip message")) { $0.raw([7, 0]) },
      Refusal("GossipMessage", "65 envelopes", .tooLong(what: "envelopes"), tagged([1], count: 65)),
      Refusal("GossipMessage", "513 announced ids", .tooLong(what: "message ids"), tagged([2], count: 513)),
      Refusal("GossipMessage", "513 ids asked for", .tooLong(what: "message ids"), tagged([3], count: 513)),
      Refusal("GossipMessage", "513 unwanted ids", .tooLong(what: "message ids"), tagged([6], count: 513)),
      Refusal("GossipMessage", "a graft with more", .trailingBytes) { $0.raw([4, 0]) },
      Refusal("GossipMessage", "prune reason 0", .unknownTag(what: "prune reason")) { $0.raw([5, 0, 0]) },
      Refusal("GossipMessage", "prune reason 5", .unknownTag(what: "prune reason")) { $0.raw([5, 5, 0]) },
      Refusal("GossipMessage", "a backoff of 3,601 s", .badValue(what: "prune backoff"), tagged([5, 1], count: 3_601)),
      Refusal("ServiceMessage", "a body over 1 MiB", .tooLong(what: "service body")) { writer in
        writer.raw([1, 0, 1])
        writer.varint(1_048_577)
      },
      Refusal("LinkMessage", "tag 0", .unknownTag(what: "link message")) { $0.raw([0]) },
      Refusal("LinkMessage", "tag 7", .unknownTag(what: "link message")) { $0.raw([7]) },
      Refusal("LinkMessage", "1,025 members", .tooLong(what: "members"), tagged([3], count: 1_025)),
      Refusal("LinkMessage", "a nack among the members", .badValue(what: "member record kind")) { writer in
        writer.uint8(3)
        writer.array([nack])
      },
      Refusal("LinkMessage", "a node list among the members", .badValue(what: "member record kind")) { writer in
        writer.uint8(3)
        writer.array([list])
      },
    ]
  }

  static func epochs() throws -> [Refusal] {
    var sampler = try Sampler(seed: 18)
    let next = [0, 1, 2].map { Validator(node: sampler.keys[$0].id, key: sampler.keys[$0 + 3].id) }
    let many = (0..<101).map { _ in sampler.validators()[0] }
    let bad = WireError.badValue(what: "epoch link")
    func header(epoch: UInt64 = 5, _ next: [Validator]) -> BlockHeader {
      var header = sampler.header(next: next)
      header.epoch = epoch
      return header
    }
    func link(
      _ why: String, _ header: BlockHeader, _ next: [Validator], _ finalization: Certificate? = nil,
      _ error: WireError = bad
    ) -> Refusal {
      let finalization = finalization ?? sampler.finalization(of: header)
      return Refusal("EpochLink", why, error) { writer in
        writer.value(header)
        writer.value(finalization)
        writer.array(next)
      }
    }
    func twice(_ second: Validator) -> [Validator] { [next[0], second] }
    let whole = header(next)
    let other = header(many)
    let sameNode = twice(Validator(node: next[0].node, key: next[1].key))
    let sameKey = twice(Validator(node: next[1].node, key: next[0].key))
    let notarization = sampler.certificate(sampler.subject(.notarize, blockID: whole.id, epoch: 5))
    let later = sampler.certificate(sampler.subject(.finalize, blockID: whole.id, epoch: 6))
    let elsewhere = sampler.certificate(sampler.subject(.finalize, blockID: other.id, epoch: 5))
    let (one, two) = (sampler.epochLink(), sampler.epochLink())
    let links = one.header.epoch > two.header.epoch ? [one, two] : [two, one]
    func epochs(_ links: [EpochLink]) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint8(11)
        writer.array(links)
      }
    }
    return [
      link("a notarization", whole, next, notarization),
      link("a finalization in another epoch", whole, next, later),
      link("the finalization of another block", whole, next, elsewhere),
      link("other validators than the header names", whole, Array(next.reversed())),
      link("the last of all epochs", header(epoch: .max, next), next),
      link("no validators", header([]), []),
      link("101 validators", other, many, nil, .tooLong(what: "validators")),
      link("a validator twice", header(sameNode), sameNode),
      link("one key for two validators", header(sameKey), sameKey),
      Refusal("ConsensusMessage", "links backwards", .badValue(what: "epoch links"), epochs(links)),
      Refusal("ConsensusMessage", "a link twice", .badValue(what: "epoch links"), epochs([one, one])),
      Refusal("ConsensusMessage", "65 links", .tooLong(what: "epoch links")) { $0.raw([11, 65]) },
      Refusal("ConsensusMessage", "101 relayed voters", .tooLong(what: "relayed voters")) { $0.raw([14, 0, 101]) },
      Refusal("ConsensusMessage", "a relayed voter twice", .notAscending(what: "relayed voters")) {
        $0.raw([14, 0, 2, 7, 0, 7, 0])
      },
      // As bytes 00 01 stands before 01 00, as numbers 256 behind 1.
      Refusal("ConsensusMessage", "relayed voters by their bytes", .notAscending(what: "relayed voters")) {
        $0.raw([14, 0, 2, 0, 1, 1, 0])
      },
    ]
  }

  static func snapshots() throws -> [Refusal] {
    func chunk(
      depth: UInt8 = 1, prefix: [UInt8] = [0x80], entries: [UInt8] = [0], siblings: [UInt8] = [0]
    ) -> (inout WireWriter) -> Void {
      { writer in
        writer.varint(7)
        writer.uint8(depth)
        writer.raw(prefix + [UInt8](repeating: 0, count: 32 - prefix.count))
        writer.raw(entries)
        writer.raw(siblings)
      }
    }
    let bad = WireError.badValue(what: "snapshot chunk")
    let prefix = WireError.badValue(what: "snapshot prefix")
    let entry = SnapshotEntry(table: 1, key: [], value: [UInt8](repeating: 0, count: SnapshotEntry.maximumValueBytes))
    return [
      Refusal("SnapshotEntry", "a key of 129 bytes", .tooLong(what: "snapshot key")) { $0.raw([1, 0x81, 1]) },
      Refusal("SnapshotEntry", "a value of 65,537 bytes", .tooLong(what: "snapshot value")) {
        $0.raw([1, 0, 0x81, 0x80, 4])
      },
      Refusal("MerkleSibling", "tag 3", .unknownTag(what: "merkle sibling")) { $0.raw([3]) },
      Refusal("MerkleSibling", "a digest beside no entry", .trailingBytes) { $0.raw([0] + Digest.zero.bytes) },
      Refusal("MerkleSibling", "a leaf without its value", .truncated) { $0.raw([1] + Digest.zero.bytes) },
      Refusal("SnapshotChunk", "depth 65", bad, chunk(depth: 65)),
      Refusal("SnapshotChunk", "more siblings than bits", bad, chunk(siblings: [2, 0, 0])),
      Refusal(
        "SnapshotChunk", "65 siblings", .tooLong(what: "snapshot siblings"),
        chunk(depth: 64, siblings: [65] + [UInt8](repeating: 0, count: 65))),
      Refusal("SnapshotChunk", "a bit behind its prefix", prefix, chunk(prefix: [0xc0])),
      Refusal(
        "SnapshotChunk", "the last bit behind its prefix", prefix, chunk(prefix: [UInt8](repeating: 0, count: 31) + [1])
      ),
      Refusal("SnapshotChunk", "a bit of the whole tree", prefix, chunk(depth: 0, siblings: [0])),
      Refusal("SnapshotChunk", "16,385 entries", .tooLong(what: "snapshot entries"), chunk(entries: [0x81, 0x80, 1])),
      Refusal(
        "SnapshotChunk", "over 1,572,864 bytes", bad,
        chunk(entries: [24] + [[SnapshotEntry]](repeating: [entry], count: 24).joined().flatMap(\.encoded))),
    ]
  }
}
