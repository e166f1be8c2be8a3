import Core
import Primitives
import Testing
import Wire

@Suite struct OwnRecordTests {
  private func roles(_ cluster: Cluster, _ number: Int) -> Roles? {
    guard case .nodeRecord(let record) = cluster.members[number].core.membership.ownRecord.value.body else {
      return nil
    }
    return record.roles
  }

  @Test func itNamesAValidatorFromTheEpochBeforeItsFirstToTheEndOfItsLast() throws {
    // The shell's record, which calls each of the five a validator, is put right before it is signed.
    var cluster = try Cluster(5, validators: 4, parameters: Cluster.parameters())
    #expect((0..<4).allSatisfy { roles(cluster, $0) == [.validator, .provider] })
    #expect(roles(cluster, 4) == .provider)
    cluster.start()
    _ = try cluster.submit(.unstake, from: 1)
    _ = try cluster.submit(.stake(amountMicrocredits: 50_000_000), from: 4)
    #expect(
      cluster.run(for: .seconds(120)) { cluster in
        cluster.members[4].core.nextValidators.index(of: cluster.id(4)) != nil
      })
    #expect(cluster.members[4].core.validators.index(of: cluster.id(4)) == nil)
    #expect(roles(cluster, 4) == [.validator, .provider])
    // Who leaves is in this epoch's committee still.
    #expect(cluster.members[4].core.nextValidators.index(of: cluster.id(1)) == nil)
    #expect(roles(cluster, 1) == [.validator, .provider])
    let epoch = cluster.epoch(1)
    #expect(cluster.run(for: .seconds(60)) { $0.epoch(1) > epoch })
    #expect(roles(cluster, 1) == .provider)
    // The others are told.
    #expect(
      cluster.run(for: .seconds(10)) { cluster in
        let seen = { cluster.members[0].core.membership.member(cluster.id($0))?.roles }
        return seen(1) == .provider && seen(4) == [.validator, .provider]
      })
  }

  @Test func itNamesAProviderAsTheOperatorWishes() throws {
    var cluster = try Cluster(1)
    cluster.start()
    // Nothing was said yet: what the shell wrote stands.
    #expect(roles(cluster, 0) == [.validator, .provider])
    let first = cluster.members[0].core.membership.ownRecord.value.sequence
    cluster.step(0, .offer(Cluster.offer()))
    #expect(cluster.members[0].core.membership.ownRecord.value.sequence == first)
    cluster.step(0, .offer(nil))
    #expect(roles(cluster, 0) == .validator)
    #expect(cluster.members[0].core.membership.ownRecord.value.sequence > first)
    cluster.step(0, .offer(Cluster.offer()))
    #expect(roles(cluster, 0) == [.validator, .provider])
  }
}
