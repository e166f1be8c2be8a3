import Consensus
import Primitives
import Testing
import Wire

@Suite struct EvidenceTests {
  static let one = Digest(hashing: [1])
  static let other = Digest(hashing: [2])

  /// Two contradictory subjects of a view for each kind of evidence.
  static func subjects(_ kind: Evidence.Kind, view: UInt64) -> [VoteSubject] {
    switch kind {
    case .conflictingNotarize:
      [
        .notarize(epoch: 0, view: view, parentView: 0, blockID: one),
        .notarize(epoch: 0, view: view, parentView: 0, blockID: other),
      ]
    case .conflictingFinalize:
      [
        .finalize(epoch: 0, view: view, parentView: 0, blockID: one),
        .finalize(epoch: 0, view: view, parentView: 0, blockID: other),
      ]
    case .nullifyAndFinalize:
      [.nullify(epoch: 0, view: view), .finalize(epoch: 0, view: view, parentView: 0, blockID: one)]
    }
  }

  static let kinds: [Evidence.Kind] = [.conflictingNotarize, .conflictingFinalize, .nullifyAndFinalize]

  @Test(arguments: kinds, [false, true])
  func contradictionsAreProven(kind: Evidence.Kind, isReversed: Bool) {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    var subjects = EvidenceTests.subjects(kind, view: 1)
    if isReversed { subjects.reverse() }
    for subject in subjects {
      #expect(network.evidence.isEmpty)
      network.inject(.vote(network.vote(subject, by: 3).value), as: 3, to: [0])
      network.run(for: .milliseconds(20))
    }
    #expect(network.evidence.map(\.evidence.kind) == [kind])
    #expect(network.evidence.first?.node == 0 && network.evidence.first?.evidence.voter == 3)
    // Once for each offender and epoch.
    for subject in EvidenceTests.kinds.flatMap({ EvidenceTests.subjects($0, view: 2) }) {
      network.inject(.vote(network.vote(subject, by: 3).value), as: 3, to: [0])
    }
    network.run(for: .milliseconds(50))
    #expect(network.evidence.count == 1)
    network.checkSafety(byzantine: [3])
  }

  @Test func aNullifyBesideANotarizeIsNoEvidence() {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    for subject in [
      VoteSubject.notarize(epoch: 0, view: 1, parentView: 0, blockID: EvidenceTests.one), .nullify(epoch: 0, view: 1),
      .notarize(epoch: 0, view: 2, parentView: 0, blockID: EvidenceTests.other),
    ] {
      network.inject(.vote(network.vote(subject, by: 3).value), as: 3, to: [0, 1, 2])
    }
    network.run(for: .milliseconds(100))
    #expect(network.evidence.isEmpty)
  }

  @Test func aSecondVoteForAFinalViewIsStillEvidence() {
    let network = Network(4)
    network.startAll()
    #expect(network.run(until: { network.reached(20) }, limit: .seconds(10)))
    network.inject(
      .vote(network.vote(.nullify(epoch: 0, view: 15), by: 3).value), as: 3, to: [0])
    network.run(for: .milliseconds(20))
    #expect(network.evidence.map(\.evidence.kind) == [.nullifyAndFinalize])
    network.checkSafety(byzantine: [3])
  }

  @Test func whatIsLongFinalIsForgotten() {
    let network = Network(4)
    network.startAll()
    #expect(network.run(until: { network.reached(80) }, limit: .seconds(10)))
    network.inject(.vote(network.vote(.nullify(epoch: 0, view: 3), by: 3).value), as: 3, to: [0])
    network.run(for: .milliseconds(20))
    #expect(network.evidence.isEmpty)
    #expect(network.nodes[0].machine!.counters["voteTooOld"] == 1)
    network.checkSafety()
  }

  @Test(arguments: [false, true])
  func aVoteInsideACertificateCounts(isCertificateFirst: Bool) {
    let network = Network(4)
    network.setWork(false)
    network.startAll()
    let certificate = network.certificate(.nullify(epoch: 0, view: 1), by: [1, 2, 3])
    let vote = network.vote(.finalize(epoch: 0, view: 1, parentView: 0, blockID: EvidenceTests.one), by: 3).value
    network.cuts = { from, _, _ in from == 0 }
    var messages: [ConsensusMessage] = [.vote(vote), .certificate(certificate)]
    if isCertificateFirst { messages.reverse() }
    for message in messages {
      network.inject(message, as: 3, to: [0])
      network.run(for: .milliseconds(20))
    }
    #expect(network.evidence.filter { $0.node == 0 }.map(\.evidence.voter) == [3])
    network.checkSafety(byzantine: [3])
  }

  /// Views before and after a crash, proposals again at each end of an epoch, lost and late votes: no honest node is
  /// ever accused; `checkSafety` looks at every piece of evidence.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func noHonestNodeIsAccused(seed: UInt64) {
    let network = EpochTests.changing(seed: seed)
    network.lossPartsPerMillion = 100_000
    network.jitter = .milliseconds(50)
    network.diskDelay = .milliseconds(5)
    network.startAll()
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<30 {
      network.run(for: generator.span(upTo: .milliseconds(400)))
      let victim = generator.index(below: 6)
      network.crash(victim)
      network.run(for: generator.span(upTo: .milliseconds(100)))
      network.start(victim)
    }
    network.lossPartsPerMillion = 0
    let height = (0..<6).map { network.height($0) }.max()!
    #expect(network.run(until: { network.reached(height + 5) }, limit: .seconds(60)))
    #expect(network.evidence.isEmpty)
    network.checkSafety()
    EpochTests.checkEpochs(network)
  }
}
