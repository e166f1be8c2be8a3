import Primitives
import Wire

/// Bytes that must not decode, and why: tested here and written into docs/wire-vectors.json for other implementations.
struct Refusal: Sendable, CustomStringConvertible {
  let type: String
  let why: String
  let error: WireError
  let bytes: [UInt8]

  var description: String { "\(type): \(why)" }

  init(_ type: String, _ why: String, _ error: WireError, _ write: (inout WireWriter) -> Void) {
    self.type = type
    self.why = why
    self.error = error
    var writer = WireWriter()
    write(&writer)
    bytes = writer.bytes
  }

  static func all() throws -> [Refusal] {
    try primitives() + membership() + ledger() + jobs() + genesis() + blocks() + votes() + links()
  }

  private static func primitives() throws -> [Refusal] {
    var sampler = try Sampler(seed: 10)
    let usage: [([UInt8], String, WireError)] = [
      ([0x80, 0x00], "a varint with a needless byte", .varintNotMinimal),
      ([0xff, 0x80, 0x00], "a varint with a needless last byte", .varintNotMinimal),
      ([UInt8](repeating: 0xff, count: 9) + [0x02], "a varint of 65 bits", .varintNotMinimal),
      ([UInt8](repeating: 0x80, count: 10) + [0x01], "a varint of 11 bytes", .varintNotMinimal),
      ([0x80], "a varint without its end", .truncated),
    ]
    let texts: [([UInt8], String)] = [
      ([0x61, 0x00], "a text with a NUL"), ([0xc0, 0xaf], "overlong UTF-8"),
      ([0xed, 0xa0, 0x80], "a surrogate in UTF-8"),
      ([0xff], "no UTF-8"), ([0xe2, 0x82], "a text cut inside a character"),
      ([0xf4, 0x90, 0x80, 0x80], "a character above U+10FFFF"),
    ]
    let good = sampler.address().encoded
    return usage.map { bytes, why, error in
      Refusal("Usage", why, error) { writer in
        writer.raw([1, 2])
        writer.raw(bytes)
      }
    }
      + texts.map { bytes, why in
        Refusal("Label", why, .badValue(what: "label key")) { writer in
          writer.lengthPrefixed(bytes)
          writer.string("value")
        }
      }
      + [
        Refusal("Label", "a length over the rest", .truncated) { $0.raw([10, 0x61]) },
        Refusal("Label", "a length of 2^64 - 1", .tooLong(what: "label key")) { $0.varint(.max) },
        Refusal("Input", "a flag of 2", .badValue(what: "flag")) { writer in
          writer.string("name")
          writer.digest(.zero)
          writer.uint8(2)
        },
        Refusal("PeerAddress", "address family 5", .unknownTag(what: "address family")) {
          $0.raw([5] + good.dropFirst())
        },
        Refusal("PeerAddress", "a mapped IPv4 address in IPv6 form", .badValue(what: "address")) { writer in
          writer.raw([6] + [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 127, 0, 0, 1, 1, 0])
        },
        Refusal("PeerAddress", "a byte after the value", .trailingBytes) { $0.raw(good + [0]) },
        Refusal("PeerAddress", "no byte at all", .truncated) { _ in },
      ]
  }

  private static func membership() throws -> [Refusal] {
    var sampler = try Sampler(seed: 11)
    let envelope = sampler.message(.accusation, key: 0).envelope.encoded
    let ping = sampler.message(.nack, key: 0).envelope
    let long = String(repeating: "x", count: 64)
    func record(name: String = "n", addresses: UInt64 = 0, roles: UInt8 = 0, agent: String = "a") -> [UInt8] {
      var writer = WireWriter()
      writer.string(name)
      writer.varint(addresses)
      for _ in 0..<addresses { writer.raw([4, 127, 0, 0, 1, 1, 0]) }
      writer.uint8(roles)
      writer.digest(.zero)
      writer.string(agent)
      writer.uint64(0)
      return writer.bytes
    }
    func altered(_ position: Int, _ byte: UInt8) -> [UInt8] {
      var bytes = envelope
      bytes[position] = byte
      return bytes
    }
    let overlong = EnvelopeKind.allCases.map { kind in
      Refusal("Envelope", "a payload over the bound of \(kind.name)", .tooLong(what: "envelope payload")) { writer in
        writer.raw([1, kind.rawValue] + [UInt8](repeating: 0, count: 48))
        writer.lengthPrefixed([UInt8](repeating: 0, count: kind.maximumPayloadBytes + 1))
        writer.signature(.zero)
      }
    }
    return overlong + [
      Refusal("NodeRecord", "a name of 64 bytes", .tooLong(what: "node name")) { $0.raw(record(name: long)) },
      Refusal("NodeRecord", "five addresses", .tooLong(what: "node addresses")) { $0.raw(record(addresses: 5)) },
      Refusal("NodeRecord", "a role without a meaning", .badValue(what: "roles")) { $0.raw(record(roles: 4)) },
      Refusal("NodeRecord", "an agent of 32 bytes", .tooLong(what: "agent version")) {
        $0.raw(record(agent: String(long.prefix(32))))
      },
      Refusal("Ping", "nine rumours", .tooLong(what: "rumours")) { writer in
        writer.raw([UInt8](repeating: 0, count: 34))
        writer.varint(9)
        for _ in 0..<9 { writer.raw(envelope) }
      },
      Refusal("Ping", "a rumour that is a nack", .badValue(what: "rumour kind")) { writer in
        writer.raw([UInt8](repeating: 0, count: 34))
        writer.array([ping])
      },
      Refusal("Envelope", "version 0", .unknownTag(what: "envelope version")) { $0.raw(altered(0, 0)) },
      Refusal("Envelope", "version 2", .unknownTag(what: "envelope version")) { $0.raw(altered(0, 2)) },
      Refusal("Envelope", "kind 0", .unknownTag(what: "envelope kind")) { $0.raw(altered(1, 0)) },
      Refusal("Envelope", "kind 33", .unknownTag(what: "envelope kind")) { $0.raw(altered(1, 33)) },
      Refusal("Message", "the payload of another kind", .unknownTag(what: "address family")) { $0.raw(altered(1, 17)) },
      Refusal("Message", "a payload with a byte too many", .trailingBytes) { writer in
        writer.raw(envelope.prefix(50) + [41] + [UInt8](repeating: 7, count: 41))
        writer.signature(.zero)
      },
    ]
  }

  private static func ledger() throws -> [Refusal] {
    var sampler = try Sampler(seed: 12)
    let resources = sampler.resources().encoded
    func offer(
      gpus: UInt64 = 0, labels: [String] = [], drivers: [String] = [], isolation: UInt8 = 1
    ) -> (inout WireWriter) -> Void {
      { writer in
        writer.raw(resources)
        writer.varint(gpus)
        for _ in 0..<gpus { writer.raw([0, 0, 0]) }
        writer.array(labels.map { Label(key: $0, value: "") })
        writer.array(drivers) { $0.string($1) }
        writer.uint8(isolation)
        writer.raw([1, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8))
      }
    }
    let many = (0..<17).map { String(UnicodeScalar(UInt8(97 + $0))) }
    let lease = Digest(hashing: [1])
    let result = LeaseResult(
      lease: lease, outputRoot: .zero, exit: .lost, usage: sampler.usage(), message: "", salt: .zero)
    let other = LeaseResult(
      lease: .zero, outputRoot: .zero, exit: .lost, usage: sampler.usage(), message: "", salt: .zero)
    return [
      Refusal("OfferTerms", "17 GPUs", .tooLong(what: "GPUs"), offer(gpus: 17)),
      Refusal("OfferTerms", "17 labels", .tooLong(what: "labels"), offer(labels: many)),
      Refusal("OfferTerms", "labels out of order", .notAscending(what: "labels"), offer(labels: ["b", "a"])),
      Refusal("OfferTerms", "equal labels", .notAscending(what: "labels"), offer(labels: ["a", "a"])),
      Refusal("OfferTerms", "nine drivers", .tooLong(what: "drivers"), offer(drivers: Array(many.prefix(9)))),
      Refusal(
        "OfferTerms", "a driver behind its extension", .notAscending(what: "drivers"), offer(drivers: ["ab", "a"])),
      Refusal("OfferTerms", "isolation 0", .unknownTag(what: "isolation"), offer(isolation: 0)),
      Refusal("OfferTerms", "isolation 4", .unknownTag(what: "isolation"), offer(isolation: 4)),
      Refusal("TransactionAction", "tag 0", .unknownTag(what: "transaction action")) { $0.uint8(0) },
      Refusal("TransactionAction", "tag 12", .unknownTag(what: "transaction action")) { $0.uint8(12) },
      Refusal("TransactionAction", "a reason of 201 bytes", .tooLong(what: "reason")) { writer in
        writer.uint8(8)
        writer.digest(lease)
        writer.string(String(repeating: "r", count: 201))
      },
      Refusal("TransactionAction", "liveness 2", .unknownTag(what: "liveness")) { writer in
        writer.uint8(11)
        writer.digest(.zero)
        writer.uint8(2)
      },
      Refusal("TransactionAction", "33 commitments", .tooLong(what: "commitments")) { writer in
        writer.uint8(9)
        writer.varint(33)
      },
      Refusal("TransactionAction", "two commitments for one lease", .notAscending(what: "commitments")) { writer in
        writer.uint8(9)
        writer.array([
          LeaseCommitment(lease: lease, commitment: .zero), LeaseCommitment(lease: lease, commitment: lease),
        ])
      },
      Refusal("TransactionAction", "33 results", .tooLong(what: "results")) { writer in
        writer.uint8(10)
        writer.varint(33)
      },
      Refusal("TransactionAction", "results out of order", .notAscending(what: "results")) { writer in
        writer.uint8(10)
        writer.array([result, other])
      },
      Refusal("LeaseResult", "a message of 201 bytes", .tooLong(what: "result message")) { writer in
        writer.digest(.zero)
        writer.digest(.zero)
        writer.raw([3, 0, 0, 0])
        writer.string(String(repeating: "m", count: 201))
        writer.digest(.zero)
      },
      Refusal("ExitStatus", "tag 0", .unknownTag(what: "exit status")) { $0.raw([0, 0]) },
      Refusal("ExitStatus", "tag 8", .unknownTag(what: "exit status")) { $0.raw([8]) },
      Refusal("ExitStatus", "a code behind a wall limit", .trailingBytes) { $0.raw([3, 0]) },
    ]
  }

  private static func jobs() throws -> [Refusal] {
    func job(
      command: [String] = ["/bin/true"], environment: [(String, String)] = [], inputs: [String] = []
    ) -> (inout WireWriter) -> Void {
      { writer in
        writer.array(command) { $0.string($1) }
        writer.array(environment) {
          $0.string($1.0)
          $0.string($1.1)
        }
        writer.array(inputs) {
          $0.string($1)
          $0.digest(.zero)
          $0.bool(false)
        }
      }
    }
    let long = String(repeating: "x", count: 256)
    let name = WireError.badValue(what: "variable name")
    let input = WireError.badValue(what: "input name")
    return [
      Refusal("JobSpecification", "no command", .badValue(what: "command"), job(command: [])),
      Refusal("JobSpecification", "a program without a name", .badValue(what: "command"), job(command: ["", "x"])),
      Refusal(
        "JobSpecification", "1,025 words", .tooLong(what: "command"),
        job(command: [String](repeating: "x", count: 1_025))),
      Refusal(
        "JobSpecification", "a word of 65,537 bytes", .tooLong(what: "argument"),
        job(command: [String](repeating: String(repeating: "x", count: 65_537), count: 1))),
      Refusal("JobSpecification", "a variable without a name", name, job(environment: [("", "x")])),
      Refusal("JobSpecification", "a variable named a=b", name, job(environment: [("a=b", "x")])),
      Refusal(
        "JobSpecification", "a variable's name of 256 bytes", .tooLong(what: "variable name"),
        job(environment: [(long, "")])),
      Refusal(
        "JobSpecification", "a variable twice", .notAscending(what: "environment"),
        job(environment: [("A", "1"), ("A", "2")])),
      Refusal("JobSpecification", "257 variables", .tooLong(what: "environment")) { $0.raw([1, 1, 0x61, 0x81, 2]) },
      Refusal("JobSpecification", "257 inputs", .tooLong(what: "inputs")) { $0.raw([1, 1, 0x61, 0, 0x81, 2]) },
      Refusal("JobSpecification", "inputs out of order", .notAscending(what: "inputs"), job(inputs: ["b", "a"])),
      Refusal("JobSpecification", "an input without a name", input, job(inputs: [""])),
      Refusal("JobSpecification", "an input named .", input, job(inputs: ["."])),
      Refusal("JobSpecification", "an input named ..", input, job(inputs: [".."])),
      Refusal("JobSpecification", "an input named a/b", input, job(inputs: ["a/b"])),
      Refusal(
        "JobSpecification", "an input's name of 256 bytes", .tooLong(what: "input name"), job(inputs: [long])),
    ]
  }

  private static func genesis() throws -> [Refusal] {
    let sampler = try Sampler(seed: 13)
    let ids = sampler.keys.map(\.id).sorted()
    let parameters = ChainParameters().encoded
    func genesis(
      name: String = "n", created: UInt64 = 0, validators: [NodeID], balances: [(NodeID, UInt64)] = []
    ) -> (inout WireWriter) -> Void {
      { writer in
        writer.string(name)
        writer.uint64(created)
        writer.raw(parameters)
        writer.array(validators) { $0.nodeID($1) }
        writer.array(balances) {
          $0.nodeID($1.0)
          $0.varint($1.1)
        }
      }
    }
    let numbers = (0...UInt8(100)).map { NodeID(bytes: [UInt8](repeating: $0, count: 32)) ?? ids[0] }
    var refusals = [
      Refusal(
        "Genesis", "a name of 64 bytes", .tooLong(what: "network name"),
        genesis(name: String(repeating: "n", count: 64), validators: ids)),
      Refusal(
        "Genesis", "made after 2^48", .badValue(what: "genesis time"), genesis(created: 1 << 48 + 1, validators: ids)),
      Refusal("Genesis", "no validators", .badValue(what: "validators"), genesis(validators: [])),
      Refusal("Genesis", "101 validators", .tooLong(what: "validators"), genesis(validators: numbers)),
      Refusal(
        "Genesis", "validators out of order", .notAscending(what: "validators"), genesis(validators: ids.reversed())),
      Refusal(
        "Genesis", "a validator twice", .notAscending(what: "validators"), genesis(validators: [ids[0], ids[0]])),
      Refusal(
        "Genesis", "an account twice", .notAscending(what: "balances"),
        genesis(validators: ids, balances: [(ids[0], 1), (ids[0], 2)])),
      Refusal(
        "Genesis", "balances of 2^63 together", .badValue(what: "balances"),
        genesis(validators: ids, balances: [(ids[0], UInt64(Int64.max)), (ids[1], 1)])),
      Refusal(
        "Genesis", "balances of over 2^64 together", .badValue(what: "balances"),
        genesis(validators: ids, balances: [(ids[0], UInt64(Int64.max)), (ids[1], .max)])),
      Refusal("Genesis", "65,537 balances", .tooLong(what: "balances")) { writer in
        genesis(validators: ids)(&writer)
        writer = writer.dropping(1)
        writer.varint(65_537)
      },
    ]
    let values = [UInt64](repeating: 1, count: 18)
    let zeroAllowed = [2, 5, 7, 8, 9, 10, 16]
    for index in 0..<18 {
      refusals.append(
        Refusal("ChainParameters", "parameter \(index) over 2^48", .badValue(what: "chain parameter")) { writer in
          for (place, value) in values.enumerated() { writer.varint(place == index ? 1 << 48 + 1 : value) }
        })
      guard !zeroAllowed.contains(index) else { continue }
      refusals.append(
        Refusal("ChainParameters", "parameter \(index) zero", .badValue(what: "chain parameter")) { writer in
          for (place, value) in values.enumerated() { writer.varint(place == index ? 0 : value) }
        })
    }
    return refusals
  }

  private static func blocks() throws -> [Refusal] {
    var sampler = try Sampler(seed: 14)
    let transfer = sampler.signer(0).seal(
      .transaction(Transaction(nonce: 0, feeMicrocredits: 1, expiresMilliseconds: 2, action: .renew)), sequence: 1
    ).value
    let leave = sampler.message(.leave, key: 0)
    func header(view: UInt64 = 2, height: UInt64 = 1, parentView: UInt64 = 1, root: Digest) -> BlockHeader {
      BlockHeader(
        epoch: 0, view: view, height: height, parentID: .zero, parentView: parentView, timestampMilliseconds: 0,
        transactionsRoot: root, stateRoot: .zero)
    }
    let root = Block.transactionsRoot([transfer.id])
    let pair = Block.transactionsRoot([transfer.id, transfer.id])
    let bad = WireError.badValue(what: "block header")
    return [
      Refusal("BlockHeader", "height 0", bad) { $0.value(header(height: 0, root: root)) },
      Refusal("BlockHeader", "the view of its parent", bad) { $0.value(header(view: 1, root: root)) },
      Refusal("BlockHeader", "a view below its parent's", bad) { $0.value(header(view: 1, parentView: 3, root: root)) },
      Refusal("Block", "the root of other transactions", .badValue(what: "transactions root")) { writer in
        writer.value(header(root: pair))
        writer.array([transfer.envelope])
      },
      Refusal("Block", "the root of no transactions, made without its domain", .badValue(what: "transactions root")) {
        $0.value(header(root: Digest(hashing: [])))
        $0.varint(0)
      },
      Refusal("Block", "a farewell among the transactions", .badValue(what: "transaction kind")) { writer in
        writer.value(header(root: Block.transactionsRoot([leave.id])))
        writer.array([leave.envelope])
      },
      Refusal("Block", "4,097 transactions", .tooLong(what: "transactions")) { writer in
        writer.value(header(root: root))
        writer.varint(4_097)
      },
    ]
  }

  private static func votes() throws -> [Refusal] {
    var sampler = try Sampler(seed: 15)
    let subject = VoteSubject.nullify(epoch: 0, view: 1).encoded
    let signature = sampler.signature()
    return [
      Refusal("VoteSubject", "kind 0", .unknownTag(what: "vote kind")) { $0.raw([0, 0, 1]) },
      Refusal("VoteSubject", "kind 4", .unknownTag(what: "vote kind")) { $0.raw([4, 0, 1]) },
      Refusal("VoteSubject", "a nullify of view 0", .badValue(what: "view")) { $0.raw([2, 0, 0]) },
      Refusal("VoteSubject", "a nullify with a block", .trailingBytes) { $0.raw([2, 0, 1, 0] + Digest.zero.bytes) },
      Refusal("VoteSubject", "a notarize in its parent's view", .badValue(what: "parent view")) {
        $0.raw([1, 0, 5, 5] + Digest.zero.bytes)
      },
      Refusal("VoteSubject", "a finalize of view 0", .badValue(what: "parent view")) {
        $0.raw([3, 0, 0, 0] + Digest.zero.bytes)
      },
      Refusal("Certificate", "a signers bitmap of 14 bytes", .tooLong(what: "signers")) {
        $0.raw(subject + [14] + [UInt8](repeating: 0, count: 13) + [1] + signature.bytes)
      },
      Refusal("Certificate", "a signers bitmap with an empty last byte", .badValue(what: "signers")) {
        $0.raw(subject + [2, 1, 0] + signature.bytes)
      },
      Refusal("Certificate", "a signers bitmap of one empty byte", .badValue(what: "signers")) {
        $0.raw(subject + [1, 0])
      },
      Refusal("Certificate", "fewer signatures than signers", .truncated) {
        $0.raw(subject + [1, 3] + signature.bytes)
      },
      Refusal("Certificate", "more signatures than signers", .trailingBytes) {
        $0.raw(subject + [1, 1] + signature.bytes + signature.bytes)
      },
    ]
  }

  private static func links() throws -> [Refusal] {
    var sampler = try Sampler(seed: 16)
    let first = sampler.block()
    let second = sampler.block(parent: first.header)
    let nack = sampler.message(.nack, key: 0).envelope
    let chain = WireError.badValue(what: "chain")
    let proposal = WireError.badValue(what: "proposal")
    let onSecond = sampler.certificate(sampler.subject(.finalize, blockID: second.id))
    let onFirst = sampler.certificate(sampler.subject(.finalize, blockID: first.id))
    let notarization = sampler.certificate(sampler.subject(.notarize, blockID: second.id))
    let wrongKind = sampler.vote(sampler.subject(.finalize, blockID: first.id))
    let wrongBlock = sampler.vote(sampler.subject(.notarize, blockID: second.id))
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
    let onSkipped = sampler.certificate(sampler.subject(.finalize, blockID: skipped.id))
    func tagged(_ bytes: [UInt8], count: UInt64) -> (inout WireWriter) -> Void {
      { writer in
        writer.raw(bytes)
        writer.varint(count)
      }
    }
    return [
      Refusal("ConsensusMessage", "tag 0", .unknownTag(what: "consensus message")) { $0.uint8(0) },
      Refusal("ConsensusMessage", "tag 10", .unknownTag(what: "consensus message")) { $0.uint8(10) },
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
      Refusal("GossipMessage", "tag 0", .unknownTag(what: "gossip message")) { $0.raw([0, 0]) },
      Refusal("GossipMessage", "tag 4", .unknownTag(what: "gossip message")) { $0.raw([4, 0]) },
      Refusal("GossipMessage", "65 envelopes", .tooLong(what: "envelopes"), tagged([1], count: 65)),
      Refusal("GossipMessage", "513 announced ids", .tooLong(what: "message ids"), tagged([2], count: 513)),
      Refusal("GossipMessage", "513 ids asked for", .tooLong(what: "message ids"), tagged([3], count: 513)),
      Refusal("ServiceMessage", "a body over 1 MiB", .tooLong(what: "service body")) { writer in
        writer.raw([1, 0, 1])
        writer.varint(1_048_577)
      },
      Refusal("LinkMessage", "tag 0", .unknownTag(what: "link message")) { $0.raw([0]) },
      Refusal("LinkMessage", "tag 5", .unknownTag(what: "link message")) { $0.raw([5]) },
      Refusal("LinkMessage", "1,025 members", .tooLong(what: "members"), tagged([3], count: 1_025)),
      Refusal("LinkMessage", "a nack among the members", .badValue(what: "member record kind")) { writer in
        writer.uint8(3)
        writer.array([nack])
      },
    ]
  }
}

extension WireWriter {
  /// What was written but for the last `count` bytes.
  fileprivate func dropping(_ count: Int) -> WireWriter {
    var shorter = WireWriter()
    shorter.raw(Array(bytes.dropLast(count)))
    return shorter
  }
}
