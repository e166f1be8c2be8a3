import Broadcast
import Membership
import Primitives
import Wire

/// A node of a large simulation: its membership and its broadcast, and nothing else of a core.
final class ScaleNode {
  let number: Int
  let address: PeerAddress
  var identity: Identity
  var membership: MembershipMachine
  var broadcast: BroadcastMachine
  /// The nodes that it has a link with.
  var links: [Int] = []
  var isUp = true
  /// When its tick comes; nil when none is due.
  var wakeAt: Instant?
  /// When its broadcast wants a tick.
  var broadcastWake: Instant?
  /// Whether it stops for seconds now and then, and until when it does.
  var isSlow = false
  var stalledUntil = Instant.zero
  var sentBytes: UInt64 = 0
  var receivedBytes: UInt64 = 0

  var id: NodeID { membership.id }

  init(number: Int, options: ScaleOptions, networkID: Digest, now: Instant, random: inout SeededGenerator) {
    self.number = number
    let (high, low) = (UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number))
    // Every node in a /24 of its own.
    guard let address = PeerAddress(ip: [UInt8(20 + number >> 16), high, low, 7], port: 7_447) else {
      preconditionFailure("four bytes are an address")
    }
    self.address = address
    let id = NodeID(Digest(hashing: Array("scale \(number)".utf8)).value)
    identity = Identity(
      signer: StandInSignatures.signer(id, networkID: networkID),
      wallClock: WallClock(offset: Simulation.wallOrigin), sequenceFloor: 0)
    membership = MembershipMachine(
      settings: options.settings,
      ownRecord: NodeRecord(
        name: "node\(number + 1)", addresses: [address], roles: [.provider], capabilities: .zero,
        agent: "linnet/simulated", expiresUnixSeconds: 0),
      identity: &identity, now: now, seed: random.next())
    broadcast = BroadcastMachine(settings: BroadcastSettings(), seed: random.next())
  }
}
