import Wire

/// Which of a node's sockets sends to an address, by the rules:
///
/// 1. The one that is bound to all addresses: the routing table knows best.
/// 2. Else one that is bound to an address of the target's prefix: both are on one network segment.
/// 3. Else the first that can reach it: a socket on the loopback interface reaches that alone, and no other does.
/// 4. Else the first of the family: the kernel says what is wrong with it.
enum SendingSocket {
  /// The place of the socket in `bound`, the addresses of all; nil when none is of the target's family.
  static func index(for target: PeerAddress, among bound: [PeerAddress]) -> Int? {
    let rules: [(PeerAddress) -> Bool] = [
      { $0.isUnspecified },
      { $0.prefix == target.prefix && $0.isLoopback == target.isLoopback },
      { $0.isLoopback == target.isLoopback },
      { _ in true },
    ]
    for rule in rules {
      if let index = bound.firstIndex(where: { $0.isIPv4 == target.isIPv4 && rule($0) }) { return index }
    }
    return nil
  }
}
