import Primitives
import Testing
import Wire

@testable import Ledger

/// What contradicting oneself costs.
@Suite struct EvidenceTests {
  private let least = EpochTests.least

  private func vote(_ subject: VoteSubject, _ voter: UInt16) -> Vote {
    Signer(id: NodeID(number(0)), networkID: .zero) { _ in .zero }.vote(subject, as: voter).value
  }

  /// Two notarizes of one view under a key.
  private func evidence(_ key: NodeID, voter: UInt16, epoch: UInt64, view: UInt64 = 3) throws -> TransactionAction {
    func subject(_ salt: UInt64) -> VoteSubject {
      .notarize(epoch: epoch, view: view, parentView: view - 1, blockID: Digest(number(salt)))
    }
    return .evidence(try #require(Evidence(key: key, vote(subject(1), voter), vote(subject(2), voter))))
  }

  @Test func aPartIsBurntTheRestReturnsAfterTheEvidenceAge() throws {
    var chain = try EpochTests.chain { $0.slashPartsPerMillion = 300_001 }
    let (offender, reporter) = (chain.genesis.validators[2], chain.members[6])
    let burnt = try chain.state.burntMicrocredits
    #expect(try chain.run(reporter, evidence(offender, voter: 2, epoch: 0)) == nil)
    #expect(
      chain.events.contains(
        .validatorSlashed(node: offender, kind: .conflictingNotarize, amountMicrocredits: 3_000_010)))
    #expect(try chain.state.burntMicrocredits == burnt + 3_000_010 + 100)
    #expect(try chain.state.bonded(by: offender) == least - 3_000_010)
    #expect(try chain.state.validator(offender)?.isJailed == true)
    // Nothing more can be done to it, or by it.
    #expect(try chain.run(reporter, evidence(offender, voter: 2, epoch: 0, view: 4)) == .alreadyJailed)
    #expect(try chain.run(offender, .stake(amountMicrocredits: least)) == .validatorJailed)
    #expect(try chain.run(offender, .unstake) == .validatorJailed)
    #expect(
      try chain.run(offender, .rotateKey(VoteKey(key: NodeID(number(5)), proof: .zero))) == .validatorJailed)
    try chain.reach(epoch: 2)
    #expect(try chain.members(1).contains(offender))
    #expect(try !chain.members(2).contains(offender))
    try chain.reach(epoch: 3)
    for _ in 0..<4 { try chain.block() }
    #expect(try chain.state.bonded(by: offender) == least - 3_000_010)
    try chain.block()
    #expect(try chain.state.bonded(by: offender) == 0)
    // Its time is served; the same evidence is too old.
    #expect(try chain.run(offender, .stake(amountMicrocredits: least)) == nil)
    #expect(try chain.run(reporter, evidence(offender, voter: 2, epoch: 0)) == .evidenceTooOld)
    #expect(try chain.run(reporter, evidence(offender, voter: 2, epoch: 1)) == .evidenceTooOld)
  }

  @Test func onlyAValidatorOfTheVotesEpochUnderItsKeyOfThen() throws {
    var chain = try EpochTests.chain()
    let (one, two, reporter) = (chain.genesis.validators[0], chain.genesis.validators[1], chain.members[6])
    let key = NodeID(number(1, 50))
    #expect(try chain.run(one, .rotateKey(VoteKey(key: key, proof: .zero))) == nil)
    for (accused, voter, epoch) in [
      (two, 0, 0), (one, 1, 0), (one, 4, 0), (one, .max, 0), (reporter, 0, 0), (key, 0, 0), (one, 0, 2),
      (one, 0, UInt64.max),
    ] as [(NodeID, UInt16, UInt64)] {
      #expect(
        try chain.run(reporter, evidence(accused, voter: voter, epoch: epoch)) == .evidenceOfNoValidator,
        "\(accused.short) as \(voter) in \(epoch)")
    }
    try chain.reach(epoch: 2)
    #expect(try chain.run(reporter, evidence(one, voter: 0, epoch: 2)) == .evidenceOfNoValidator)
    // In epoch 2 it votes under the new key; the old one convicts it of epoch 0 and 1 as long as these count.
    #expect(try chain.run(reporter, evidence(key, voter: 0, epoch: 2)) == nil)
    #expect(try chain.state.validator(one)?.isJailed == true)
    #expect(try chain.run(reporter, evidence(two, voter: 1, epoch: 0)) == nil)
    #expect(try chain.state.validator(two)?.isJailed == true)
  }

  @Test func leaversAnswerUntilTheLastBlockOfTheEvidenceAge() throws {
    for isInTime in [true, false] {
      var chain = try EpochTests.chain()
      let (leaver, reporter) = (chain.genesis.validators[3], chain.members[6])
      #expect(try chain.run(leaver, .unstake) == nil)
      try chain.reach(epoch: 3)
      for _ in 0..<(isInTime ? 4 : 5) { try chain.block() }
      let report = try chain.run(reporter, evidence(leaver, voter: 3, epoch: 1))
      #expect(report == (isInTime ? nil : .evidenceTooOld))
      #expect(try chain.state.bonded(by: leaver) == (isInTime ? least / 2 : 0))
      if isInTime {
        // Jailed as one who leaves only now.
        #expect(try chain.state.validator(leaver)?.returnEpoch == 6)
        try chain.reach(epoch: 7)
        #expect(try chain.state.validator(leaver) == nil)
      }
    }
  }

  @Test func theRateMayBeAllOrNothing() throws {
    for rate in [0, 1, 999_999, 1_000_000] as [UInt64] {
      var chain = try EpochTests.chain {
        $0.slashPartsPerMillion = rate
        $0.minimumStakeMicrocredits = 7
      }
      let offender = chain.genesis.validators[0]
      #expect(try chain.run(chain.members[6], evidence(offender, voter: 0, epoch: 0)) == nil)
      #expect(try chain.state.bonded(by: offender) == (rate == 0 ? 7 : rate == 1 ? 6 : 0))
      try chain.reach(epoch: 4)
      #expect(try chain.state.validator(offender) == nil)
    }
    // The largest stake there can be.
    var chain = try EpochTests.chain(count: 2, validators: 1, opening: UInt64(Int64.max) / 2) {
      $0.minimumStakeMicrocredits = ChainParameters.maximumValue
      $0.slashPartsPerMillion = 999_999
    }
    let rest = try chain.state.account(chain.members[0]).balanceMicrocredits
    #expect(try chain.run(chain.members[0], .stake(amountMicrocredits: rest - 100)) == nil)
    #expect(try chain.run(chain.members[1], evidence(chain.members[0], voter: 0, epoch: 0)) == nil)
    let left = try #require(chain.state.validator(chain.members[0])).stakeMicrocredits
    #expect(left == (UInt64(Int64.max) / 2 - 100) / 1_000_000)
  }

  @Test func aMemberWhoseStakeHasReturnedHasNothingToLose() throws {
    var chain = try EpochTests.chain(validators: 1)
    let founder = chain.members[0]
    #expect(try chain.run(founder, .unstake) == nil)
    try chain.reach(epoch: 5)
    #expect(try chain.members(5) == [founder])
    #expect(try chain.run(chain.members[6], evidence(founder, voter: 0, epoch: 5)) == .evidenceWithoutStake)
  }
}
