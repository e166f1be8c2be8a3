import Core
import Membership
import Primitives
import Testing
import Wire

@Suite struct AskedPingTests {
  @Test func aPingThatAPersonAsksForIsSentAndAnswered() throws {
    var cluster = try Cluster(2)
    cluster.start()
    let peer = cluster.id(1)
    #expect(cluster.run(for: .seconds(20)) { $0.members[0].core.membership.member(peer) != nil })
    var core = cluster.members[0].core
    var effects: [CoreEffect] = []
    core.step(.ping(cluster.id(0), request: 4), now: cluster.now, into: &effects)
    core.step(.ping(peer, request: 5), now: cluster.now, into: &effects)
    var answered: [UInt64: PingOutcome] = [:]
    var pinged: [NodeID] = []
    for effect in effects {
      switch effect {
      case .pinged(let request, let outcome): answered[request] = outcome
      case .datagram(let message, _, let receiver):
        if case .ping = message.value.body { pinged.append(receiver) }
      default: break
      }
    }
    #expect(answered == [4: .notAMember] && pinged == [peer])
    #expect(core.counters["inputNotHandled"] == 0)
  }
}
