import Consensus
import Core
import Ledger
import Primitives
import Testing
import Wire

@Suite struct EpochTests {
  @Test func validatorsJoinLeaveAndRotateTheirKeysWhileEpochsGoOn() throws {
    var cluster = try Cluster(5, validators: 4, parameters: Cluster.parameters())
    cluster.start()
    let newKey = try cluster.signer(100)
    cluster.members[0].voteSigners.append(newKey)
    cluster.step(0, .voteSigners(cluster.members[0].voteSigners))
    _ = try cluster.submit(.rotateKey(newKey.voteKey(of: cluster.id(0))), from: 0)
    _ = try cluster.submit(.unstake, from: 1)
    _ = try cluster.submit(.stake(amountMicrocredits: 50_000_000), from: 4)
    #expect(
      cluster.run(for: .seconds(120)) { cluster in cluster.members.indices.allSatisfy { cluster.epoch($0) >= 4 } })
    #expect(cluster.isConsistent)
    for number in cluster.members.indices {
      let member = cluster.members[number]
      #expect(member.refused.isEmpty, "\(member.refused)")
      #expect(member.begun == Array(1...(member.begun.last ?? 0)))
      #expect(member.core.allCounters.all.allSatisfy { !$0.name.contains("Misrouted") })
    }
    let set = cluster.members[0].core.validators
    #expect(set.index(of: cluster.id(1)) == nil)
    #expect(set.index(of: cluster.id(4)) != nil)
    #expect(set.index(of: cluster.id(0)).flatMap { set.key($0) } == newKey.id)
    #expect(cluster.members.map(\.core.votingStanding) == [.voting, .notAValidator, .voting, .voting, .voting])
    // Whoever knows the genesis alone can follow the links to the present set.
    let links = cluster.members[2].links
    let proven = try cluster.verifier.verify(links, from: cluster.genesis.validatorSet)
    #expect(proven.validators == cluster.members[2].links.last?.next)
    // The new member's votes are part of what is final.
    let signers = cluster.members[0].committed.last?.finalization.value.signers ?? []
    #expect(!signers.isEmpty)
    cluster.stop(2)
    let height = cluster.members[0].core.ledger.finalHeight
    #expect(
      cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight > height + 10 },
      "a quorum of four without one needs the new member")
  }

  @Test func whoHasNotTheKeyThatItRotatedToFollowsAndSaysSo() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    cluster.start()
    let newKey = try cluster.signer(100)
    _ = try cluster.submit(.rotateKey(newKey.voteKey(of: cluster.id(0))), from: 0)
    #expect(
      cluster.run(for: .seconds(120)) { cluster in cluster.members.indices.allSatisfy { cluster.epoch($0) >= 3 } })
    #expect(cluster.members[0].core.votingStanding == .keyMissing(newKey.id))
    cluster.step(0, .voteSigners([cluster.members[0].signer, newKey]))
    let epoch = cluster.epoch(0)
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(0) > epoch })
    #expect(cluster.members[0].core.votingStanding == .voting)
    #expect(cluster.isConsistent)
  }

  @Test func whoMayHaveLostVotesVotesInNoEpochThatMayHoldThem() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[3].core.ledger.finalHeight == 3 })
    // The journal is lost three blocks into the first epoch.
    cluster.members[3].persisted = []
    let lostAt = WallClock(offset: Cluster.wallOffset).unixMilliseconds(at: cluster.now)
    cluster.members[3].settings.abstainUntilMilliseconds = lostAt
    try cluster.restart(3)
    cluster.start([3])
    #expect(cluster.members[3].core.votingStanding == .abstaining(untilMilliseconds: lostAt))
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) == 1 })
    let votes = cluster.members[3].persisted.compactMap { record in
      if case .ownVote(let vote) = record { vote } else { nil }
    }
    #expect(votes.isEmpty)
    // The first epoch that began after the loss can hold no lost vote.
    #expect(cluster.members[3].core.votingStanding == .voting)
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) == 2 })
    #expect(cluster.isConsistent)
  }

  @Test func abstentionOutlastsEpochsThatBeganBefore() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    let until = WallClock(offset: Cluster.wallOffset).unixMilliseconds(at: cluster.now + .seconds(9))
    cluster.members[3].settings.abstainUntilMilliseconds = until
    try cluster.restart(3)
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) == 1 })
    #expect(cluster.members[3].core.votingStanding == .abstaining(untilMilliseconds: until))
    #expect(cluster.run(for: .seconds(60)) { $0.members[3].core.votingStanding == .voting })
    let began = try #require(cluster.members[3].links.last).header.timestampMilliseconds
    #expect(began > until)
  }

  @Test func aLaggardFollowsThroughEpochsByTheChain() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[3].core.ledger.finalHeight == 5 })
    cluster.stop(3)
    #expect(cluster.run(for: .seconds(120)) { $0.epoch(0) >= 5 })
    try cluster.restart(3)
    cluster.start([3])
    #expect(
      cluster.run(for: .seconds(60)) { $0.epoch(3) >= 5 && $0.epoch(3) == $0.epoch(0) },
      "\(cluster.epoch(3)) of \(cluster.epoch(0))")
    #expect(cluster.isConsistent)
    #expect(cluster.members[3].installs.isEmpty)
    #expect(cluster.members[3].core.votingStanding == .voting)
    #expect(Set(cluster.chain(3).keys) == Set(1...UInt64(cluster.chain(3).count)))
  }

  @Test(arguments: [7, 8, 9] as [UInt64], [0, 1, 2])
  func aRestartAroundABoundaryForgetsNothing(height: UInt64, lost: Int) throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[3].core.ledger.finalHeight >= height })
    let before = cluster.chain(3)
    try cluster.restart(3, losingCommits: lost)
    cluster.start([3])
    #expect(
      cluster.run(for: .seconds(120)) { cluster in cluster.members.indices.allSatisfy { cluster.epoch($0) >= 3 } })
    #expect(cluster.isConsistent)
    let after = cluster.chain(3)
    for (height, id) in before { #expect(after[height] == id) }
    // No vote contradicts one from before the restart.
    var signed: [VoteSubject: VoteSubject] = [:]
    for case .ownVote(let vote) in cluster.members[3].persisted {
      let subject = vote.subject
      let key =
        subject.kind == .nullify
        ? VoteSubject.nullify(epoch: subject.epoch, view: subject.view)
        : .notarize(
          epoch: subject.epoch, view: subject.view, parentView: 0, blockID: Digest(hashing: [subject.kind.rawValue]))
      #expect(signed[key] == nil || signed[key] == subject)
      signed[key] = subject
    }
  }

  @Test func recordsOfALaterEpochBindWhenTheBlocksBetweenWereLost() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    cluster.start()
    #expect(cluster.run(for: .seconds(60)) { $0.members[3].core.ledger.finalHeight >= 10 })
    let voted = cluster.members[3].persisted.contains { record in
      if case .ownVote(let vote) = record { vote.subject.epoch == 1 } else { false }
    }
    #expect(voted)
    // Everything since height 5 is gone from the block store, the journal is whole.
    let lost = cluster.members[3].committed.count { ($0.blocks.last?.value.header.height ?? 0) > 5 }
    try cluster.restart(3, losingCommits: lost)
    #expect(cluster.epoch(3) == 0)
    let kept = cluster.members[3].core.checkpoint().contains { record in
      if case .ownVote(let vote) = record { vote.subject.epoch == 1 } else { false }
    }
    #expect(kept, "a checkpoint made now must not forget the votes of the next epoch")
    cluster.start([3])
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) >= 2 })
    #expect(cluster.isConsistent)
  }

  @Test func anEpochThatTheJournalSaysIsOverIsNotVotedInAgain() throws {
    var cluster = try Cluster(4, parameters: Cluster.parameters())
    cluster.start()
    // At the beginning of epoch 2, or a little later: the journal is written anew, and the votes of epochs 0 and 1 go.
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) == 2 })
    let before = cluster.members[3].persisted.count
    cluster.members[3].persisted = cluster.members[3].core.checkpoint()
    let kept = cluster.members[3].persisted.count
    #expect(kept < before && kept > 0)
    // Then final blocks of the disk are damaged, and the node finds itself in epoch 0.
    let lost = cluster.members[3].committed.count { ($0.blocks.last?.value.header.height ?? 0) > 5 }
    try cluster.restart(3, losingCommits: lost)
    #expect(cluster.epoch(3) == 0)
    guard case .abstaining = cluster.members[3].core.votingStanding else {
      Issue.record("the node would vote again in an epoch whose votes it forgot")
      return
    }
    cluster.start([3])
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(3) >= 3 && $0.members[3].core.votingStanding == .voting })
    for case .ownVote(let vote) in cluster.members[3].persisted.dropFirst(kept) { #expect(vote.subject.epoch >= 2) }
    #expect(cluster.isConsistent)
  }
}
