import Broadcast
import Consensus
import Membership
import Primitives
import Wire

/// How a node behaves beyond what its network's genesis says.
public struct CoreSettings: Sendable {
  /// How members are probed.
  public var membership: MembershipSettings
  /// How messages are spread.
  public var broadcast: BroadcastSettings
  /// When votes of this node may be lost (its journal is missing or damaged): the time at which that was found, in
  /// milliseconds since 1970. It signs no vote in the epoch it starts in, and none in an epoch that began up to then:
  /// only an epoch that began later can hold none of the lost votes.
  public var abstainUntilMilliseconds: UInt64?
  /// The length of the hash chain that a validator reveals from as a leader; what is registered is up to twice as long.
  /// 0 to register none.
  public var beaconLength: UInt64 = 65_536
  /// How many blocks a node must be behind to fetch a state instead of them.
  public var snapshotDistance: UInt64 = 2_048
  /// How much may lie above the last final block.
  public var consensusBounds = ConsensusBounds()
  /// How long an own offer is valid; it is renewed at half of that.
  public var offerValidity = Microseconds.seconds(1_200)
  /// How long an own transaction is valid.
  public var transactionValidity = Microseconds.seconds(600)
  /// Own transactions that are not final after this long are sent to all links again.
  public var resendInterval = Microseconds.seconds(5)
  /// How often the node looks after its leases, its offer and its transactions when nothing else calls for it.
  public var housekeepingInterval = Microseconds.seconds(1)

  /// Settings with the defaults of a membership profile.
  public init(membership: MembershipSettings, broadcast: BroadcastSettings = BroadcastSettings()) {
    self.membership = membership
    self.broadcast = broadcast
  }
}

/// Whether a node signs votes in an epoch, and if not, why.
public enum VotingStanding: Hashable, Sendable {
  /// It votes.
  case voting
  /// It is none of the epoch's validators.
  case notAValidator
  /// It is, but has not the key that the epoch's validators name for it.
  case keyMissing(NodeID)
  /// It is, but its votes may be lost: it votes again in an epoch that begins after this time, in milliseconds since
  /// 1970.
  case abstaining(untilMilliseconds: UInt64)
}
