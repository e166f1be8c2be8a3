import Core
import Primitives
import Testing

@Suite struct ValidatorLinksTests {
  @Test func aValidatorDialsTheValidatorsItHasNoLinkToAndGivesUpNever() throws {
    var cluster = try Cluster(4)
    cluster.start()
    #expect(
      cluster.run(for: .seconds(20)) { cluster in cluster.members[0].core.membership.member(cluster.id(3)) != nil })
    cluster.stop(3)
    let lost = cluster.now
    cluster.run(for: .seconds(300))
    let dials = cluster.members[0].dials.filter { $0.to == cluster.id(3) && $0.at > lost }
    // Those of the validators, and one of the membership in ten seconds.
    #expect(dials.count >= 8 && dials.count < 60, "\(dials.count)")
    // Each pause is longer than the one before, up to the longest.
    #expect(dials.last.map { cluster.now - $0.at < .seconds(32) } ?? false)
    let pauses = zip(dials, dials.dropFirst()).map { $1.at - $0.at }
    #expect(pauses.allSatisfy { $0 <= .seconds(32) })

    cluster.start([3])
    let back = cluster.now
    cluster.run(for: .seconds(60))
    #expect(!cluster.members[0].dials.contains { $0.to == cluster.id(3) && $0.at > back })
  }

  /// One that comes and goes at will neither stops the dials of others nor makes them many.
  @Test func aValidatorThatIsBackHurriesTheDialsOfTheOthersAndPostponesNone() throws {
    var links = ValidatorLinks()
    let missing = try Cluster(4).id(1)
    func dials(hurryEvery hurries: Int64?) -> [Int64] {
      var times: [Int64] = []
      for second in 0..<300 as Range<Int64> {
        let now = Instant.zero + .seconds(second)
        if let hurries, second % hurries == 0 { links.hurry(at: now) }
        if links.isDue(missing, at: now) { times.append(second) }
      }
      links = ValidatorLinks()
      return times
    }
    let patient = dials(hurryEvery: nil)
    let hurried = dials(hurryEvery: 1)
    #expect(hurried.count > 2 * patient.count)
    // Three dials in ten seconds: after one, two and four.
    #expect(hurried.count <= 4 * 30)
    #expect(zip(hurried, hurried.dropFirst()).allSatisfy { $1 - $0 <= 10 })
  }

  /// Agreement needs the link, whatever else comes over it.
  @Test func aValidatorIsNotHeardButKeepsItsLink() throws {
    var cluster = try Cluster(5, validators: 4)
    cluster.start([0, 1, 2])
    let (validator, stranger) = (cluster.id(1), cluster.id(4))
    cluster.step(0, .linkUp(stranger, cluster.members[4].address, isOutbound: false))
    for peer in [validator, stranger] {
      for _ in 0..<5 { cluster.step(0, .misconduct(peer, .invalidMessage)) }
    }
    #expect(cluster.members[0].closed.map(\.peer) == [stranger])
    #expect(cluster.members[0].core.counters["validatorNotHeard"] == 1)
    let height = cluster.members[0].core.ledger.finalHeight
    #expect(cluster.run(for: .seconds(60)) { $0.members[0].core.ledger.finalHeight > height + 3 })
  }
}
