import Control
import Core
import Primitives
import Sodium
import Testing
import Wire

@testable import Node

@Suite struct KnownJobsTests {
  private let terms = JobTerms(
    specification: Digest(hashing: [7]),
    resources: Resources(cpuMilli: 1_000, memoryBytes: 1 << 28, diskBytes: 1 << 28),
    gpuCount: 0, gpuMemoryBytes: 0, labels: [], driver: "native", isolation: .rlimit, mayRunOnSubmitter: true,
    replication: 1, retries: 0, maximumPricePerSecondMicrocredits: 10_000, wallLimitMilliseconds: 60_000,
    startDeadlineMilliseconds: 1_800_000_600_000)

  private func job(_ command: String) -> SubmittedJob {
    SubmittedJob(
      specification: JobSpecification(command: [command], environment: [], inputs: []), terms: terms,
      at: WallTime(microsecondsSinceEpoch: 1_800_000_000_000_000))
  }

  @Test func aJobIsKnownByEachOfItsIdsBeforeAndAfterABlockHoldsIt() throws {
    var lone = try LoneValidator()
    try lone.run(toHeight: 1)
    lone.step(.submit(.submitJob(terms), request: 1_000))
    let id = try #require(lone.core.underWay.members.last)
    let (told, between) = (Digest(hashing: [9]), Digest(hashing: [8]))
    let (successors, own) = (Successors(), SubmittedJobs())
    successors.note(told, as: between)
    successors.note(between, as: id)
    own.add(told, job("sleep"))
    for isFinal in [false, true] {
      if isFinal { try lone.run(toHeight: 4) }
      #expect((lone.core.finalState.job(id) != nil) == isFinal)
      let known = KnownJobs(lone.core, ids: successors.snapshot, own: own)
      for each in [told, between, id] {
        #expect(try known.resolve("\(each)") == id)
        #expect(try known.resolve(String("\(each)".prefix(12))) == id)
        let answer = try #require(known.answer(each))
        #expect(answer.id == "\(id)" && answer.state == .pending && answer.command == ["sleep"])
        #expect((known.record(each) != nil) == isFinal)
      }
      #expect(known.answers.map(\.id) == ["\(id)"])
    }
  }

  @Test func aJobThatIsNeitherOnItsWayNorInABlockIsNotPending() throws {
    var lone = try LoneValidator()
    try lone.run(toHeight: 1)
    let (lost, cancelled, refused) = (Digest(hashing: [1]), Digest(hashing: [2]), Digest(hashing: [3]))
    let own = SubmittedJobs()
    for id in [lost, cancelled, refused] { own.add(id, job("sleep")) }
    let refusals = [cancelled: NodeCore.cancelledReason, refused: "the account has nothing"]
    let known = KnownJobs(lone.core, ids: Successors().snapshot, own: own) { refusals[$0] }
    #expect(known.answer(lost) == nil && known.answers.count == 2)
    #expect(known.answer(cancelled)?.state == .cancelled)
    #expect(known.answer(refused)?.state == .expired && known.answer(refused)?.reason == "the account has nothing")
  }
}
