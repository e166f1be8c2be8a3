import Primitives
import Wire

// Links of the whole node: every part hears of one at the same time.
extension NodeCore {
  mutating func linkUp(
    _ peer: NodeID, _ address: PeerAddress, _ isOutbound: Bool, now: Instant, into effects: inout [CoreEffect]
  ) {
    guard links.contains(peer) || links.count < NodeCore.maximumLinks else {
      counters.add("linksFull")
      return
    }
    // The shell may have forgotten, or have been started anew.
    let banSeconds = broadcast.banSeconds(of: peer, now: now)
    guard banSeconds == 0 else {
      counters.add("linkBanned")
      effects.append(.close(peer, reason: "it is not let in for its misconduct", banSeconds: banSeconds))
      return
    }
    links.insert(peer)
    sync.linkUp(peer)
    step(membership: .linkUp(peer, address, isOutbound: isOutbound), now: now, into: &effects)
    step(broadcast: .linkUp(peer, isOutbound: isOutbound), now: now, into: &effects)
    step(consensus: .linkUp(peer), now: now, into: &effects)
  }
}
