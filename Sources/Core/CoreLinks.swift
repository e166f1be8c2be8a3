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
    links.insert(peer)
    sync.linkUp(peer)
    step(membership: .linkUp(peer, address, isOutbound: isOutbound), now: now, into: &effects)
    step(broadcast: .linkUp(peer, isOutbound: isOutbound), now: now, into: &effects)
    step(consensus: .linkUp(peer), now: now, into: &effects)
  }
}
