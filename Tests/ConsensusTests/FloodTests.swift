import Consensus
import Primitives
import Testing
import Wire

/// Whatever a faulty validator and strangers say, every collection stays within its bound.
@Suite struct FloodTests {
  @Test func everythingStaysWithinItsBounds() {
    var parameters = ChainParameters()
    parameters.epochBlocks = 8
    let network = Network(4, observers: 1, parameters: parameters)
    // In epoch 1, so that older epochs exist.
    network.startAll()
    #expect(network.run(until: { network.reached(9) }, limit: .seconds(10)))
    network.setWork(false)
    network.run(for: .seconds(1))
    let epoch = network.nodes[0].machine!.epoch
    #expect(epoch == 1)
    // The certificates are made up of others' votes, which these must not get to see.
    network.cuts = { from, _, _ in from == 0 }
    var generator = SeededGenerator(seed: 3)
    var limits: [String: Int] = [:]
    for round in 0..<400 as Range<UInt64> {
      guard let machine = network.nodes[0].machine, machine.epoch == epoch else { break }
      let id = Digest(hashing: [UInt8(truncatingIfNeeded: round), UInt8(truncatingIfNeeded: round >> 8)])
      let stranger = NodeID(Digest(hashing: Array("stranger \(round)".utf8)).value)
      let view = machine.view + generator.next(below: 3)
      var inputs: [ConsensusInput] = [.laterEpoch(stranger), .linkUp(stranger)]
      var messages: [ConsensusMessage] = [
        .vote(network.vote(.notarize(epoch: epoch, view: view, parentView: 0, blockID: id), by: 3).value),
        .vote(network.vote(.nullify(epoch: epoch, view: view), by: 3).value),
        .vote(network.vote(.finalize(epoch: epoch, view: view, parentView: 0, blockID: id), by: 3).value),
        .vote(network.vote(.nullify(epoch: 0, view: round + 1), by: 3).value),
        .vote(network.vote(.nullify(epoch: epoch + 1 + round % 5, view: 1), by: 3).value),
        .relayRequest(epoch: epoch, voters: [UInt16(round % 4), UInt16(round % 100)].sorted()),
        .blockRequest([id]), .chainRequest(fromHeight: round), .certificateRequest(from: round, to: round + 63),
        // Genuine, as if a quorum had made it long ago: views without a block, far and near.
        .certificate(network.certificate(.nullify(epoch: epoch, view: 1_000 + 7 * round), by: [1, 2, 3])),
      ]
      var header = BlockHeader(
        epoch: epoch, view: view, height: 10 + round % 8, parentID: id, parentView: view - 1,
        timestampMilliseconds: 2_000_000 + round, transactionsRoot: Block.transactionsRoot([]), stateRoot: id,
        nextValidators: .zero, reveal: .zero)
      for _ in 0..<2 {
        let block = Block(header: header, transactions: [])!
        let subject = VoteSubject.notarize(epoch: epoch, view: view, parentView: view - 1, blockID: block.id)
        messages.append(.proposal(block, network.vote(subject, by: network.leader(of: view, epoch: epoch)).value))
        messages.append(.blocks([block]))
        let final = VoteSubject.finalize(
          epoch: 0, view: 8, parentView: 7, blockID: block.id)
        messages.append(.chain([block], finalization: network.certificate(final, by: [1, 2, 3])))
        header.timestampMilliseconds += 1
      }
      for message in messages {
        guard let verified = network.verified(message) else { continue }
        let peer = round % 2 == 0 ? stranger : network.nodes[3].signer.id
        inputs.append(.message(verified, from: peer))
      }
      for input in inputs { network.step(0, input) }
      network.run(for: .milliseconds(2))
      for occupancy in network.nodes[0].machine?.occupancy ?? [] {
        #expect(!occupancy.isExceeded, "\(occupancy.name) holds \(occupancy.count)")
        limits[occupancy.name] = max(limits[occupancy.name] ?? 0, occupancy.count)
      }
    }
    // The flood reached what it aimed at.
    for name in ["votes", "views", "aheadPeers", "boundaryAnswers", "relays", "accused", "links", "chainRequests"] {
      #expect((limits[name] ?? 0) > 0, "\(name) stayed empty")
    }
  }
}
