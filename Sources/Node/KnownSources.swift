import Membership
import Primitives
import Wire

/// The addresses that members answer probes from: one for each member. As long as one member answers from an address it is
/// known, whatever others say who name it, too.
struct KnownSources {
  /// What the endpoint is to be told.
  struct Change: Equatable {
    /// No member answers from these any more.
    var forgotten: [PeerAddress] = []
    /// A member answers from this, and none did before.
    var learned: PeerAddress?
  }

  private var addresses = Table<NodeID, PeerAddress>()
  private var counts = Table<PeerAddress, Int>()

  /// Where a member answers.
  subscript(member: NodeID) -> PeerAddress? { addresses[member] }

  /// Says where a member answers; nil for nowhere.
  mutating func set(_ address: PeerAddress?, of member: NodeID) -> Change {
    var change = Change()
    let before = addresses[member]
    guard before != address else { return change }
    if let before, release(before) { change.forgotten = [before] }
    addresses[member] = address
    if let address {
      if counts[address] == nil { change.learned = address }
      counts[address, default: 0] += 1
    }
    return change
  }

  /// Forgets all members but these.
  mutating func keep(_ members: Set<NodeID>) -> Change {
    var change = Change()
    for (member, _) in Array(addresses) where !members.contains(member) {
      change.forgotten += set(nil, of: member).forgotten
    }
    return change
  }

  /// True when the last member of an address has gone.
  private mutating func release(_ address: PeerAddress) -> Bool {
    let left = counts[address, default: 1] - 1
    counts[address] = left > 0 ? left : nil
    return left == 0
  }
}

extension MemberView {
  /// True for a member that is not known to be gone.
  var isLive: Bool { state == .alive || state == .suspect }
}
