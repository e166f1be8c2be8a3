import Consensus
import Primitives
import Testing
import Wire

/// Everything at once, from one seed: loss, jitter, slow disks, crashes, partitions, a double voter.
@Suite struct StormTests {
  static func storm(
    seed: UInt64, count: Int, epochBlocks: UInt64 = 3_600, bounds: ConsensusBounds = ConsensusBounds()
  ) {
    var parameters = ChainParameters()
    parameters.epochBlocks = epochBlocks
    let network = Network(count, seed: seed, parameters: parameters)
    network.settings.bounds = bounds
    var generator = SeededGenerator(seed: seed &+ 1_000)
    network.lossPartsPerMillion = generator.next(below: 200_000)
    network.jitter = generator.span(upTo: .milliseconds(60))
    network.diskDelay = generator.span(upTo: .milliseconds(20))
    // With f at least one, the last node is played by the test: it votes for everything it can.
    let byzantine = count >= 4 ? [count - 1] : []
    let honest = Array(0..<count - byzantine.count)
    for index in honest { network.start(index) }
    for _ in 0..<60 {
      network.run(for: generator.span(upTo: .milliseconds(200)))
      switch generator.next(below: 6) {
      case 0:
        let victim = honest[generator.index(below: honest.count)]
        if network.nodes[victim].machine == nil { network.start(victim) } else { network.crash(victim) }
      case 1:
        let side = generator.next()
        network.cuts = { from, to, _ in side >> UInt64(from) & 1 != side >> UInt64(to) & 1 }
      case 2: network.cuts = { _, _, _ in false }
      case 3:
        let cut = generator.index(below: count)
        network.cuts = { _, to, _ in to == cut }
      default:
        for liar in byzantine { lie(network, as: liar, to: honest, &generator) }
      }
    }
    network.cuts = { _, _, _ in false }
    network.lossPartsPerMillion = 0
    for index in honest where network.nodes[index].machine == nil { network.start(index) }
    let height = honest.map { network.height($0) }.max() ?? 0
    #expect(
      network.run(until: { network.reached(height + 5, honest) }, limit: .seconds(200)), "no progress with seed \(seed)"
    )
    network.checkSafety(byzantine: byzantine)
  }

  /// Signs what an honest node never would, and shows each to some only.
  private static func lie(_ network: Network, as liar: Int, to honest: [Int], _ generator: inout SeededGenerator) {
    guard let machine = network.nodes[honest[generator.index(below: honest.count)]].machine else { return }
    let view = machine.view
    let epoch = machine.epoch
    var messages: [ConsensusMessage] = []
    for (index, block) in network.recentBlocks.suffix(3).enumerated() where block.header.epoch == epoch {
      let header = block.header
      messages += [
        .vote(network.vote(.nullify(epoch: epoch, view: view), by: liar).value),
        .vote(
          network.vote(
            .finalize(epoch: epoch, view: header.view, parentView: header.parentView, blockID: block.id), by: liar
          ).value),
        .vote(
          network.vote(
            .notarize(epoch: epoch, view: header.view, parentView: header.parentView, blockID: block.id), by: liar
          ).value),
      ]
      // Its own turn: two blocks on whatever parent.
      if network.leader(of: view, epoch: epoch) == liar, header.view < view, let state = network.knownState(block.id) {
        for extra in 0..<2 as Range<UInt64> {
          var forged = BlockHeader(
            epoch: epoch, view: view, height: header.height + 1, parentID: block.id, parentView: header.view,
            timestampMilliseconds: header.timestampMilliseconds + 1 + extra + UInt64(index),
            transactionsRoot: Block.transactionsRoot([]), stateRoot: .zero, nextValidators: .zero, reveal: .zero)
          forged.stateRoot = network.nextState(state, forged)
          let forgedBlock = Block(header: forged, transactions: [])!
          let vote = network.vote(
            .notarize(epoch: epoch, view: view, parentView: header.view, blockID: forgedBlock.id), by: liar)
          messages.append(.proposal(forgedBlock, vote.value))
        }
      }
    }
    for message in messages {
      network.inject(message, as: liar, to: honest.filter { _ in generator.chance(partsPerMillion: 500_000) })
    }
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func safeAlwaysAndLiveAfterwards(seed: UInt64) { StormTests.storm(seed: seed, count: 4) }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func withSeven(seed: UInt64) { StormTests.storm(seed: seed, count: 7) }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func withShortEpochs(seed: UInt64) { StormTests.storm(seed: seed, count: 4, epochBlocks: 4) }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func withLittleRoom(seed: UInt64) {
    var bounds = ConsensusBounds()
    bounds.openBlocks = 2 + Int(seed % 4)
    bounds.commitBlocks = 1 + Int(seed % 3)
    if seed % 2 == 0 { bounds.commitBytes = Block.maximumBytes + 500 }
    StormTests.storm(seed: seed, count: 4, epochBlocks: seed > 6 ? 16 : 3_600, bounds: bounds)
  }

  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func withThree(seed: UInt64) { StormTests.storm(seed: seed, count: 3) }
}
