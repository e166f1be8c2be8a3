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
    try primitives() + membership() + ledger() + validators() + jobs() + genesis() + blocks() + votes() + links()
      + epochs()
      + snapshots()
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
      Refusal("TransactionAction", "tag 17", .unknownTag(what: "transaction action")) { $0.uint8(17) },
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

  /// What validators say of themselves and of each other.
  private static func validators() throws -> [Refusal] {
    let sampler = try Sampler(seed: 17)
    let key = sampler.keys[0].id
    let bad = WireError.badValue(what: "evidence")
    func vote(_ subject: VoteSubject, as voter: UInt16 = 3) -> Vote { sampler.signer(0).vote(subject, as: voter).value }
    func notarize(_ block: UInt8, epoch: UInt64 = 1, view: UInt64 = 9, parent: UInt64 = 8) -> VoteSubject {
      .notarize(epoch: epoch, view: view, parentView: parent, blockID: Digest(hashing: [block]))
    }
    func finalize(_ block: UInt8, view: UInt64 = 9) -> VoteSubject {
      .finalize(epoch: 1, view: view, parentView: 8, blockID: Digest(hashing: [block]))
    }
    let nullify = VoteSubject.nullify(epoch: 1, view: 9)
    func evidence(_ why: String, _ votes: [Vote]) -> Refusal {
      Refusal("Evidence", why, bad) { writer in
        writer.nodeID(key)
        for vote in votes { writer.value(vote) }
      }
    }
    func ordered(_ one: VoteSubject, _ other: VoteSubject) -> [Vote] {
      [min(one, other), max(one, other)].map { vote($0) }
    }
    let contradiction = ordered(notarize(1), notarize(2))
    func beacon(_ length: UInt64) -> (inout WireWriter) -> Void {
      { writer in
        writer.uint8(15)
        writer.digest(.zero)
        writer.varint(length)
      }
    }
    return [
      evidence("the higher vote first", contradiction.reversed()),
      evidence("one vote twice", [vote(notarize(1)), vote(notarize(1))]),
      evidence("a nullify twice", [vote(nullify), vote(nullify)]),
      evidence("one block notarized and finalized", ordered(notarize(1), finalize(1))),
      evidence("one block notarized, another finalized", ordered(notarize(1), finalize(2))),
      evidence("a view notarized and nullified", ordered(notarize(1), nullify)),
      evidence("a finalize before a nullify", [vote(finalize(1)), vote(nullify)]),
      evidence("two blocks of two views", ordered(notarize(1), notarize(2, view: 10))),
      evidence("a nullify and a finalize of another view", ordered(nullify, finalize(1, view: 10))),
      evidence("two blocks of two epochs", ordered(notarize(1), notarize(2, epoch: 2))),
      evidence(
        "the votes of two voters",
        [vote(contradiction[0].subject, as: 3), vote(contradiction[1].subject, as: 4)]),
      Refusal("Evidence", "one vote only", .truncated) { writer in
        writer.nodeID(key)
        writer.value(contradiction[0])
      },
      Refusal("VoteKey", "a proof of 63 bytes", .truncated) { $0.raw([UInt8](repeating: 0, count: 95)) },
      Refusal("Validator", "without a key", .truncated) { $0.nodeID(key) },
      Refusal("TransactionAction", "a hash chain of no elements", .badValue(what: "beacon length"), beacon(0)),
      Refusal("TransactionAction", "a hash chain of 2^20 + 1", .badValue(what: "beacon length"), beacon(1 << 20 + 1)),
      Refusal("TransactionAction", "an unstake with an amount", .trailingBytes) { $0.raw([13, 5]) },
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
    let values = [UInt64](repeating: 1, count: 18) + [ChainParameters.minimumEpochBlocks, 0, 0, 1]
    let zeroAllowed = [2, 5, 7, 8, 9, 10, 16, 19, 20]
    for (index, value, why) in [
      (18, 3, "epochs of three blocks"), (18, 1 << 24 + 1, "epochs of 2^24 + 1 blocks"),
      (20, 1_000_001, "more slashed than there is"), (21, 17, "evidence of 17 epochs"),
    ] {
      refusals.append(
        Refusal("ChainParameters", why, .badValue(what: "chain parameter")) { writer in
          for (place, other) in values.enumerated() { writer.varint(place == index ? UInt64(value) : other) }
        })
    }
    for index in 0..<22 {
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
        transactionsRoot: root, stateRoot: .zero, nextValidators: .zero, reveal: .zero)
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

  private static func epochs() throws -> [Refusal] {
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

  private static func snapshots() throws -> [Refusal] {
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

extension WireWriter {
  /// What was written but for the last `count` bytes.
  fileprivate func dropping(_ count: Int) -> WireWriter {
    var shorter = WireWriter()
    shorter.raw(Array(bytes.dropLast(count)))
    return shorter
  }
}
