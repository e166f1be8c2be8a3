import Foundation
import Testing

extension Acceptance {
  /// Validators that come and go while the chain goes on.
  @Suite("epochs", .serialized) struct Epochs {
    static let epochBlocks: UInt64 = 40

    init() throws { try Requirement.check() }

    /// A command of `linnet validator` at a node.
    private func validator(_ net: LocalTestnet, _ node: Int, _ word: String) throws -> ValidatorChangeJSON {
      let change = try net.json(ValidatorChangeJSON.self, node, "validator", word, subcommands: 2)
      guard change.refusal == nil, change.inBlock != nil, change.holdsFromEpoch != nil else {
        throw Trouble("validator \(word) at node \(node): \(change)")
      }
      return change
    }

    /// Makes blocks until an epoch has begun at node 1.
    private func reach(_ epoch: UInt64, _ net: LocalTestnet, _ trickle: inout Trickle, within seconds: Double = 600)
      throws
    {
      try eventually(within: seconds, every: 1, "epoch \(epoch) has begun") {
        trickle.next()
        return try trickle.connections[0].json(ChainStatusJSON.self, "/v1/chain").map { $0.epoch >= epoch } ?? false
      }
    }

    @Test("one joins, one leaves, one changes its key, over three epochs without a pause; a new node joins by snapshot")
    func changes() throws {
      let options = ["--validators", "5", "--epoch-blocks", "\(Epochs.epochBlocks)"]
      try LocalTestnet.with(nodes: 6, options: options) { net in
        let ids = try net.ids()
        let share = net.processorShare()
        func id(_ node: Int) throws -> String { try #require(ids[node]) }
        let began = ContinuousClock.now
        var trickle = Trickle(net, nodes: [1, 2, 3], target: try id(1))
        var blocks: [UInt64: BlockJSON] = [:]
        /// Makes a block and more, and reads what is new.
        func advance() throws {
          trickle.next()
          blocks.merge(try net.blocks(1, from: UInt64(blocks.count) + 1, to: try net.chain(1).height)) { $1 }
        }
        func signs(_ node: Int, from epoch: UInt64 = 0) throws -> Bool {
          let id = try id(node)
          return blocks.values.contains { $0.header.epoch >= epoch && $0.certificate?.signers.contains(id) == true }
        }
        // Four of five make a certificate: who is kept waiting for a moment is in none of that moment's.
        try eventually(within: 180, every: 1, "node 4 signs with its first key") {
          try advance()
          return try signs(4)
        }
        for _ in 0..<5 { trickle.next() }
        let before = try net.validators(1)
        #expect(Set(before.validators.map(\.id)) == Set(try (1...5).map { try id($0) }))
        let keyBefore = try #require(before.validators.first { $0.id == ids[4] }).key
        let first = try net.chain(1).height + 1

        let joined = try validator(net, 6, "join")
        trickle.next()
        let left = try validator(net, 5, "leave")
        trickle.next()
        let rotated = try validator(net, 4, "rotate")
        let asked = try net.chain(1).epoch
        for change in [joined, left, rotated] {
          #expect((change.holdsFromEpoch ?? 0) >= 2 && (change.holdsFromEpoch ?? 0) <= asked + 2, "\(change)")
        }
        let joining = try #require(try net.validators(1).validators.first { $0.id == ids[6] })
        #expect(joining.state == "joining", "\(joining)")
        let holds = try #require([joined, left, rotated].compactMap(\.holdsFromEpoch).max())
        try reach(holds + 2, net, &trickle)

        let after = try net.validators(1)
        let members = Dictionary(uniqueKeysWithValues: after.validators.map { ($0.id, $0) })
        #expect(members[try id(6)]?.state == "active", "\(after)")
        #expect(members[try id(5)].map { $0.state != "active" } ?? true, "\(after)")
        let keyNow = try #require(members[try id(4)]).key
        #expect(keyNow != keyBefore && keyNow == rotated.key, "\(after)")
        try eventually(within: 90, "node 6 votes and node 5 does not any more") {
          try net.status(6).voting.state == "voting" && net.status(5).voting.state == "following"
        }

        // Who signed: in the epochs before, the old ones; then, the new ones.
        try eventually(within: 600, every: 1, "node 6 signs, and node 4 with its new key") {
          try advance()
          return try signs(6, from: joined.holdsFromEpoch ?? 0) && signs(4, from: rotated.holdsFromEpoch ?? 0)
        }
        let last = UInt64(blocks.count)
        #expect(blocks.keys.max() == last)
        var signers: [UInt64: Set<String>] = [:]
        for block in blocks.values {
          signers[block.header.epoch, default: []].formUnion(block.certificate?.signers ?? [])
        }
        for (epoch, names) in signers {
          #expect(!names.contains(try id(6)) || epoch >= (joined.holdsFromEpoch ?? 0), "epoch \(epoch): \(names)")
          #expect(!names.contains(try id(5)) || epoch < (left.holdsFromEpoch ?? 0), "epoch \(epoch): \(names)")
        }
        measured(
          "validators changed over epochs \(signers.keys.min() ?? 0) to \(signers.keys.max() ?? 0)",
          "\(last - first + 1) blocks in \(text(began.secondsAgo))")
        #expect(signers.count >= 4, "three boundaries at least: \(signers.keys.sorted())")
        try gaps(blocks, first...last, trickle, share)

        try newcomer(net, &trickle)
      }
    }

    /// The time between blocks, inside an epoch and over a boundary, by their leaders' clocks, from when on a transfer of
    /// the trickle waited for a block: a long one is a pause of the chain, and not of this test.
    private func gaps(
      _ blocks: [UInt64: BlockJSON], _ heights: ClosedRange<UInt64>, _ trickle: Trickle, _ share: ProcessorShare
    ) throws {
      let format = ISO8601DateFormatter()
      format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
      var inside: [Double] = []
      var boundaries: [Double] = []
      for height in heights.dropFirst() {
        guard let block = blocks[height], let parent = blocks[height - 1],
          let time = format.date(from: block.header.timestamp), let before = format.date(from: parent.header.timestamp)
        else { throw Trouble("no time of block \(height)") }
        guard let waiting = trickle.sent.first(where: { $0.block >= height }), waiting.at < time else { continue }
        let gap = time.timeIntervalSince(max(before, waiting.at))
        if block.header.epoch == parent.header.epoch { inside.append(gap) } else { boundaries.append(gap) }
      }
      inside.sort()
      try #require(!inside.isEmpty && !boundaries.isEmpty)
      let most = boundaries.max() ?? 0
      measured("\(inside.count) gaps between blocks, inside epochs", "median \(text(inside[inside.count / 2]))")
      expect("longest gap inside epochs", took: inside.last ?? 0, below: 2, share: share.value)
      expect("longest gap over \(boundaries.count) boundaries", took: most, below: 2, share: share.value)
    }

    /// A node that has only the genesis: it proves the epochs, takes the state and follows.
    private func newcomer(_ net: LocalTestnet, _ trickle: inout Trickle) throws {
      let node = 7
      let directory = "\(net.directory)/node\(node)"
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
      let model = try String(contentsOfFile: net.file(6, "node.conf"), encoding: .utf8)
      let conf = model.replacingOccurrences(of: "node6", with: "node7").replacingOccurrences(
        of: ".6:7447", with: ".7:7447"
      )
      .replacingOccurrences(of: "= 716000", with: "= 717000")
      try conf.write(toFile: net.file(node, "node.conf"), atomically: true, encoding: .utf8)
      let made = try run([Requirement.binary, "init", "--config", net.file(node, "node.conf")])
      #expect(made.code == 0, "\(made.described)")

      let height = try net.chain(1).height
      let started = ContinuousClock.now
      let daemon = try net.start(node)
      defer {
        daemon.send(SIGTERM)
        _ = try? daemon.outcome(within: 60)
      }
      let connection = net.connection(to: node)
      try eventually(within: 180, every: 10, "the new node is at the tip") {
        guard daemon.isRunning else { throw Trouble("it ended: \(net.log(of: node))") }
        trickle.next()
        return try connection.json(ChainStatusJSON.self, "/v1/chain").map { $0.height >= height } ?? false
      }
      expect(
        "a new node, at the tip after \(height) blocks", took: started.secondsAgo, below: 30,
        share: ProcessorShare(of: [daemon.id], isWhole: true).value)
      let counters = try connection.json(StatusJSON.self, "/v1/status")?.refused ?? [:]
      let named = counters.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      measured("its counters", named.joined(separator: ", "))
      let log = net.log(of: node)
      let fetched = log.split(separator: "\n").filter { $0.contains("was fetched") || $0.contains("epoch") }
      measured(
        "it says", fetched.map { $0.split(separator: " ").dropFirst(2).joined(separator: " ") }.joined(separator: "; "))
      #expect(log.contains("was fetched"), "by a snapshot and not by executing every block:\n\(log.suffix(2_000))")
      // It has what came after the snapshot, and nothing before: it never saw the first blocks, so what it knows of the
      // validators can only come from the chain of epochs.
      #expect(try connection.json(BlockJSON.self, "/v1/blocks/1") == nil)
      let agreed = try net.agreement(of: [1, 2, 3, 4, 6, 7], within: 90)
      try eventually(within: 60, "the new node has the others' epoch and validators") {
        let theirs = try net.validators(1)
        let own = try net.validators(node)
        return own.epoch == theirs.epoch && own.validators.map(\.key) == theirs.validators.map(\.key)
      }
      measured("all agree", "height \(agreed.height), root \(agreed.stateRoot.prefix(16))")
    }
  }
}
