import Primitives
import Sodium
import Wire

/// The content of docs/wire-vectors.json, made from values in code. All of it is deterministic.
struct Vectors {
  /// One entry of a list: its keys and their JSON.
  struct Entry {
    var type: String
    var name: String
    var value: (any WireCodable)?
    var more: [(String, String)] = []
    var bytes: [UInt8]

    var json: String {
      var fields = [("type", quoted(type)), ("name", quoted(name)), ("hex", quoted(Hex.encode(bytes)))] + more
      if let value { fields.append(("fields", fieldsJSON(value))) }
      return object(fields)
    }
  }

  /// A text form: `hex` nil when the text is refused, `written` when it is not how the value is written.
  struct TextEntry {
    var type: String
    var text: String
    var bytes: [UInt8]?
    var written: String?

    var json: String {
      object(
        [("type", quoted(type)), ("text", quoted(text)), ("hex", bytes.map { quoted(Hex.encode($0)) } ?? "null")]
          + (written.map { [("written", quoted($0))] } ?? []))
    }
  }

  private(set) var accepted: [Entry] = []
  private(set) var refused: [Entry] = []
  private(set) var forged: [Entry] = []
  private(set) var texts: [TextEntry] = []
  private var sampler: Sampler

  /// The whole file.
  var file: String {
    func list(_ name: String, _ lines: [String]) -> String {
      "\(quoted(name)):[\n" + lines.joined(separator: ",\n") + "\n]"
    }
    return "{"
      + [
        list("accepted", accepted.map(\.json)), list("forged", forged.map(\.json)),
        list("refused", refused.map(\.json)), list("text", texts.map(\.json)),
      ].joined(separator: ",\n") + "}\n"
  }

  init() throws {
    sampler = try Sampler(seed: 40)
    try addSamples()
    try addCases()
    try addChain()
    try addEpochs()
    // Refusals whose size is their point are made by every implementation for itself.
    refused = try Refusal.all().filter { $0.bytes.count <= 4_096 }.map {
      Entry(type: $0.type, name: $0.why, more: [("why", quoted($0.error.counter))], bytes: $0.bytes)
    }
    addTexts()
    addInvites()
  }

  private mutating func add(_ type: String, _ name: String, _ value: any WireCodable, _ more: [(String, String)] = []) {
    accepted.append(Entry(type: type, name: name, value: value, more: more, bytes: value.encoded))
  }

  /// Three values of every type.
  private mutating func addSamples() throws {
    for type in WireType.all {
      var made = 0
      while made < 3 {
        let value = try type.make(&sampler)
        guard value.encoded.count <= 3_000 else { continue }
        made += 1
        add(type.name, "\(type.name) \(made)", value)
      }
    }
  }

  /// Every case of every choice, and every kind of envelope with what it takes to sign it anew.
  private mutating func addCases() throws {
    for tag in 1...16 { add("TransactionAction", "action \(tag)", sampler.action(tag)) }
    for tag in 1...14 { add("ConsensusMessage", "consensus message \(tag)", sampler.consensus(tag)) }
    for tag in 1...6 { add("GossipMessage", "gossip message \(tag)", sampler.gossip(tag)) }
    for tag in 1...6 { add("LinkMessage", "link message \(tag)", sampler.link(tag)) }
    for reason in PruneReason.allCases {
      add("GossipMessage", "pruned: \(reason)", GossipMessage.prune(reason: reason, backoffSeconds: 60))
    }
    for answer in ConnectAnswer.allCases { add("ConnectAnswer", "\(answer)", answer) }
    let statuses: [ExitStatus] = [
      .exited(code: 0), .exited(code: 255), .signalled(signal: 9), .wallLimit, .memoryLimit, .diskLimit, .startFailed,
      .lost,
    ]
    for status in statuses { add("ExitStatus", "exit status \(status)", status) }
    for (key, kind) in EnvelopeKind.allCases.enumerated() {
      addMessage("a signed \(kind.name)", sampler.message(kind, key: key % 7), key: key % 7)
    }
    let payment = Transaction(
      nonce: 0, feeMicrocredits: 100, expiresMilliseconds: 1_750_000_060_000,
      action: .transfer(to: sampler.keys[1].id, amountMicrocredits: 2_500_000))
    addMessage(
      "a payment", sampler.signer(0).seal(.transaction(payment), sequence: 1_750_000_000_000_000).value, key: 0)
    let result = sampler.leaseResult()
    let provider = sampler.keys[3].id
    add(
      "LeaseResult", "a committed result", result,
      [
        ("networkID", fieldsJSON(sampler.networkID)), ("provider", fieldsJSON(provider)),
        (
          "commitment",
          fieldsJSON(result.commitment(networkID: sampler.networkID, provider: provider).commitment)
        ),
      ])
  }

  private mutating func addMessage(_ name: String, _ message: Message, key: Int) {
    add(
      "Message", name, WholeMessage(message),
      [
        ("seed", fieldsJSON(Sampler.seed(key))), ("networkID", fieldsJSON(sampler.networkID)),
        ("statement", fieldsJSON(message.envelope.statement)), ("signature", fieldsJSON(message.envelope.signature)),
        ("id", fieldsJSON(message.id)),
      ])
    var bytes = message.envelope.encoded
    bytes[50] ^= 1
    let other = Digest(hashing: Array("another network".utf8))
    let forgeries = [
      ("its last byte changed", message.envelope.encoded.dropLast() + [bytes[bytes.count - 1] ^ 1], sampler.networkID),
      ("shown to another network", message.envelope.encoded, other),
    ]
    for (how, bytes, network) in forgeries {
      forged.append(
        Entry(type: "Message", name: "\(name), \(how)", more: [("networkID", fieldsJSON(network))], bytes: Array(bytes))
      )
    }
  }

  /// A network of four validators: its genesis, its first blocks, votes and certificates.
  private mutating func addChain() throws {
    let order = sampler.keys.indices.prefix(4).sorted { sampler.keys[$0].id < sampler.keys[$1].id }
    let genesis = try Genesis(
      name: "golden", createdMilliseconds: 1_750_000_000_000, parameters: ChainParameters(),
      validators: order.map { sampler.keys[$0].id },
      balances: sampler.keys.map { Genesis.Balance(account: $0.id, amountMicrocredits: 1_000_000_000) })
    let networkID = genesis.networkID
    add("Genesis", "a network of four", genesis, [("networkID", fieldsJSON(networkID))])
    let smallest = try Genesis(
      name: "", createdMilliseconds: 0, parameters: ChainParameters(), validators: [sampler.keys[0].id], balances: [])
    add("Genesis", "the smallest network", smallest, [("networkID", fieldsJSON(smallest.networkID))])

    func signer(_ key: SigningKey) -> Signer { Signer(id: key.id, networkID: networkID) { key.sign($0) } }
    var header: BlockHeader?
    for height: UInt64 in 1...3 {
      let transactions = (1..<Int(height)).map { number in
        signer(sampler.keys[number]).seal(
          .transaction(
            Transaction(
              nonce: height, feeMicrocredits: 100, expiresMilliseconds: 1_750_000_100_000,
              action: .transfer(to: sampler.keys[0].id, amountMicrocredits: UInt64(number)))), sequence: height
        ).value
      }
      let next = BlockHeader(
        epoch: 0, view: height * 2, height: height, parentID: header?.id ?? networkID, parentView: header?.view ?? 0,
        timestampMilliseconds: 1_750_000_000_000 + height * 20,
        transactionsRoot: Block.transactionsRoot(transactions.map(\.id)),
        stateRoot: Digest(hashing: [UInt8(height)]), nextValidators: genesis.validatorSet.digest,
        reveal: height == 1 ? .zero : Digest(hashing: [0, UInt8(height)]))
      guard let block = Block(header: next, transactions: transactions) else { continue }
      let bound = [("networkID", fieldsJSON(networkID)), ("id", fieldsJSON(block.id))]
      add("BlockHeader", "the header of block \(height)", next, Array(bound.dropFirst()))
      add("Block", "block \(height)", block, bound)
      header = next
      for kind in VoteKind.allCases {
        let subject: VoteSubject =
          switch kind {
          case .notarize: .notarize(epoch: 0, view: next.view, parentView: next.parentView, blockID: block.id)
          case .nullify: .nullify(epoch: 0, view: next.view)
          case .finalize: .finalize(epoch: 0, view: next.view, parentView: next.parentView, blockID: block.id)
          }
        addVotes("\(kind.name) at height \(height)", subject, genesis: genesis, keys: order)
      }
    }
  }

  /// Vote keys, evidence and epoch links, with what it takes to verify them.
  private mutating func addEpochs() throws {
    let networkID = sampler.networkID
    let network = [("networkID", fieldsJSON(networkID))]
    func forge(_ type: String, _ name: String, _ bytes: [UInt8], _ more: [(String, String)]) {
      forged.append(Entry(type: type, name: name, more: more, bytes: bytes))
    }
    let elsewhere = [("networkID", fieldsJSON(Digest(hashing: Array("another network".utf8))))]

    let node = sampler.keys[0].id
    let key = sampler.signer(5).voteKey(of: node)
    let statement = VoteKey.statement(networkID: networkID, node: node, key: key.key)
    let nodeField = [("node", fieldsJSON(node))]
    add(
      "VoteKey", "a key proven for its node", key,
      network + nodeField + [
        ("seed", fieldsJSON(Sampler.seed(5))), ("statement", fieldsJSON(statement)),
        ("signature", fieldsJSON(key.proof)),
      ])
    forge("VoteKey", "a key shown for another node", key.encoded, network + [("node", fieldsJSON(sampler.keys[1].id))])
    forge("VoteKey", "a key shown to another network", key.encoded, elsewhere + nodeField)
    forge(
      "VoteKey", "another's key", VoteKey(key: sampler.keys[1].id, proof: key.proof).encoded, network + nodeField)

    for kind in [Evidence.Kind.conflictingNotarize, .conflictingFinalize, .nullifyAndFinalize] {
      let evidence = sampler.evidence(kind)
      add("Evidence", "evidence of \(kind.name)", evidence, network)
      forge("Evidence", "evidence of \(kind.name), shown to another network", evidence.encoded, elsewhere)
      var other = evidence.encoded
      other.replaceSubrange(0..<32, with: sampler.keys[sampler.keys[6].id == evidence.key ? 5 : 6].id.bytes)
      forge("Evidence", "evidence of \(kind.name), against another key", other, network)
      var second = evidence.encoded
      second[second.count - 1] ^= 1
      forge("Evidence", "evidence of \(kind.name), its second vote forged", second, network)
    }
    // What an envelope carries is checked with it.
    for (name, author, action) in [
      ("a rotation of the author's key", 0, TransactionAction.rotateKey(key)),
      ("a rotation to a key that was proven for another", 1, .rotateKey(key)),
      ("a report of evidence", 2, .evidence(sampler.evidence())),
    ] {
      let transaction = Transaction(nonce: 1, feeMicrocredits: 100, expiresMilliseconds: 2, action: action)
      let message = sampler.signer(author).seal(.transaction(transaction), sequence: 7).value
      if author == 1 {
        forge("Message", name, message.envelope.encoded, network)
      } else {
        addMessage(name, message, key: author)
      }
    }

    try addLinks()
  }

  /// The last block of an epoch of four, whose validators hand over to three that vote under other keys.
  private mutating func addLinks() throws {
    let networkID = sampler.networkID
    let keys = sampler.keys
    let validators =
      [Validator(node: keys[0].id, key: keys[4].id)] + keys[1..<4].map { Validator(node: $0.id, key: $0.id) }
    let next = [4, 5, 6].map { Validator(node: keys[$0 - 3].id, key: keys[$0].id) }
    let header = BlockHeader(
      epoch: 5, view: 3_601, height: 21_600, parentID: sampler.digest(), parentView: 3_600,
      timestampMilliseconds: 1_750_000_000_000, transactionsRoot: Block.transactionsRoot([]),
      stateRoot: sampler.digest(),
      nextValidators: ValidatorSet.digest(of: next), reveal: .zero)
    let subjects = [
      ("as it was proposed", VoteSubject.finalize(epoch: 5, view: 3_601, parentView: 3_600, blockID: header.id)),
      ("proposed again", VoteSubject.finalize(epoch: 5, view: 3_604, parentView: 3_601, blockID: header.id)),
    ]
    let bound = [
      ("networkID", fieldsJSON(networkID)), ("validators", fieldsJSON(validators.map(\.key))), ("epoch", "5"),
    ]
    for (how, subject) in subjects {
      let votes = [4, 1, 2, 3].enumerated().map { sampler.signer($0.element).vote(subject, as: UInt16($0.offset)) }
      for (signers, count) in [([0, 1, 3], "three"), ([1, 2], "two of four")] {
        guard let certificate = Certificate.assemble(signers.map { votes[$0] }),
          let link = EpochLink(header: header, finalization: certificate.value, next: next)
        else { continue }
        if signers.count == 3 {
          add("EpochLink", "the last block of epoch 5, \(how)", link, bound)
          forged.append(
            Entry(
              type: "EpochLink", name: "the last block of epoch 5, \(how), by the nodes' own keys",
              more: [bound[0], ("validators", fieldsJSON(validators.map(\.node))), bound[2]], bytes: link.encoded))
        } else {
          forged.append(
            Entry(
              type: "EpochLink", name: "the last block of epoch 5, \(how), \(count)", more: bound, bytes: link.encoded))
        }
      }
    }
  }

  private mutating func addVotes(_ name: String, _ subject: VoteSubject, genesis: Genesis, keys: [Int]) {
    let networkID = genesis.networkID
    let bound = [
      ("networkID", fieldsJSON(networkID)), ("validators", fieldsJSON(genesis.validators)), ("epoch", "0"),
      ("statement", fieldsJSON(subject.statement(networkID: networkID))),
    ]
    let votes = keys.enumerated().map { place, number in
      let key = sampler.keys[number]
      return Signer(id: key.id, networkID: networkID) { key.sign($0) }.vote(subject, as: UInt16(place))
    }
    add(
      "Vote", name, votes[1].value,
      bound + [("seed", fieldsJSON(Sampler.seed(keys[1]))), ("signature", fieldsJSON(votes[1].value.signature))])
    let unbound = Array(bound.dropLast())
    func forge(_ type: String, _ how: String, _ value: any WireCodable, _ more: [(String, String)]) {
      forged.append(Entry(type: type, name: "\(name), \(how)", more: more, bytes: value.encoded))
    }
    var writer = WireWriter()
    writer.value(subject)
    writer.uint16(2)
    writer.signature(votes[1].value.signature)
    if let vote = try? Vote(decoding: writer.bytes) { forge("Vote", "shown as another's", vote, unbound) }
    var otherNetwork = unbound
    otherNetwork[0].1 = fieldsJSON(sampler.networkID)
    forge("Vote", "shown to another network", votes[1].value, otherNetwork)
    for (signers, how) in [([0, 1, 2, 3], "all"), ([0, 1, 3], "three"), ([1, 2], "two of four")] {
      guard let certificate = Certificate.assemble(signers.map { votes[$0] }) else { continue }
      if signers.count >= genesis.validatorSet.quorum {
        add("Certificate", "\(name), \(how)", certificate.value, bound)
      } else {
        forge("Certificate", how, certificate.value, unbound)
      }
    }
    guard let swapped = Certificate.assemble([votes[0], votes[1], votes[2]]) else { return }
    var bytes = swapped.value.encoded
    bytes[bytes.count - 1] ^= 1
    if let certificate = try? Certificate(decoding: bytes) {
      forge("Certificate", "one bit of a signature changed", certificate, unbound)
    }
  }

  /// A text that reads as `bytes`, or is refused.
  mutating func addText(type: String, text: String, bytes: [UInt8]?) {
    texts.append(TextEntry(type: type, text: text, bytes: bytes))
  }

  private mutating func addTexts() {
    func address(_ text: String, _ encoding: [UInt8]?, written: String? = nil) {
      texts.append(TextEntry(type: "PeerAddress", text: text, bytes: encoding, written: written))
    }
    func six(_ groups: [UInt16], _ port: [UInt8]) -> [UInt8] {
      [6] + groups.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] } + port
    }
    let home: [UInt8] = [4, 127, 0, 0, 1, 0x17, 0x1d]
    address("127.0.0.1:7447", home)
    address("255.255.255.255:65535", [4, 255, 255, 255, 255, 255, 255])
    address("0.0.0.0:0", [4, 0, 0, 0, 0, 0, 0])
    address("127.0.0.1:07447", home, written: "127.0.0.1:7447")
    address("[::]:9", six([0, 0, 0, 0, 0, 0, 0, 0], [9, 0]))
    address("[::1]:1", six([0, 0, 0, 0, 0, 0, 0, 1], [1, 0]))
    address("[2001:db8::ff00:42:8329]:443", six([0x2001, 0xdb8, 0, 0, 0, 0xff00, 0x42, 0x8329], [0xbb, 1]))
    address("[fe80::1:0:0:1]:2", six([0xfe80, 0, 0, 0, 1, 0, 0, 1], [2, 0]))
    address("[1:0:2:0:3:0:4:0]:3", six([1, 0, 2, 0, 3, 0, 4, 0], [3, 0]))
    address("[1::]:4", six([1, 0, 0, 0, 0, 0, 0, 0], [4, 0]))
    address(
      "[2001:0DB8:0:0:1:0:0:1]:5", six([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], [5, 0]), written: "[2001:db8::1:0:0:1]:5")
    address("[::ffff:127.0.0.1]:7447", home, written: "127.0.0.1:7447")
    address("[::FFFF:7F00:1]:7447", home, written: "127.0.0.1:7447")
    address(
      "[64:ff9b::192.0.2.1]:6", six([0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x201], [6, 0]), written: "[64:ff9b::c000:201]:6"
    )
    address("[1:2:3:4:5:6:7::]:7", six([1, 2, 3, 4, 5, 6, 7, 0], [7, 0]), written: "[1:2:3:4:5:6:7:0]:7")
    for bad in [
      "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:+1", "127.0.0.1:-0", "127.0.0.1: 1", "127.0.0.1:65536",
      "127.0.0.1:007447", "127.0.0.01:1", "127.0.0.256:1", "1.2.3:4", "1.2.3.4.5:6", "1..2.3:4", "+1.2.3.4:5", "[]:1",
      "[::1", "::1:1", "[::1]", "[::1]:", "[:::]:1", "[1::2::3]:1", "[12345::]:1", "[1:2:3:4:5:6:7]:1",
      "[1:2:3:4:5:6:7:8:9]:1", "[1:2:3:4:5:6:7:8::]:1", "[1.2.3.4::]:1", "[1.2.3.4::1]:1", "[::1.2.3]:1",
      "[::1.2.3.4:5]:1", "[fe80::1%eth0]:1", "[+1::]:1", "[g::]:1", "host:1", "127.0.0.1:１", "[127.0.0.1]:1",
    ] { address(bad, nil) }
    func identity(_ text: String, _ bytes: [UInt8]?) {
      texts.append(TextEntry(type: "NodeID", text: text, bytes: bytes))
    }
    for id in sampler.keys.prefix(3).map(\.id) + [NodeID(Bytes32())] { identity(id.description, id.bytes) }
    let good = sampler.keys[0].id.description
    identity(good.uppercased(), nil)
    identity(String(good.dropLast()), nil)
    identity(good + "q", nil)
    identity(String(good.dropLast()) + (good.hasSuffix("q") ? "p" : "q"), nil)
    identity("ln1" + String(good.dropFirst(4)), nil)
    identity("lb1" + String(good.dropFirst(3)), nil)
    identity(Bech32m.encode([UInt8](repeating: 1, count: 31), prefix: "ln"), nil)
    identity(Bech32m.encode([UInt8](repeating: 1, count: 33), prefix: "ln"), nil)
    identity(Bech32m.encode([UInt8](repeating: 1, count: 32), prefix: "lb"), nil)
    identity("ln1", nil)
    identity("", nil)
  }
}
