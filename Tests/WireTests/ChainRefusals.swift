import Primitives
import Wire

// The genesis, blocks, votes and certificates.

extension Refusal {
  static func genesis() throws -> [Refusal] {
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

  static func blocks() throws -> [Refusal] {
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

  static func votes() throws -> [Refusal] {
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
}

extension WireWriter {
  /// What was written but for the last `count` bytes.
  fileprivate func dropping(_ count: Int) -> WireWriter {
    var shorter = WireWriter()
    shorter.raw(Array(bytes.dropLast(count)))
    return shorter
  }
}
