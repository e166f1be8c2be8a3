import Primitives
import Transport
import Wire

/// Whether the node of a bootstrap entry is linked already, whoever dialled.
enum BootstrapLink {
  /// - Parameters:
  ///   - addresses: what the entry leads to now.
  ///   - expecting: the node that the entry names; nil when it names none, and any at its addresses will do.
  ///   - members: where members were seen.
  static func stands(
    to addresses: [PeerAddress], expecting id: NodeID?, links: [LinkInfo], members: [(NodeID, PeerAddress)]
  ) -> Bool {
    if let id { return links.contains { $0.id == id } }
    return links.contains { addresses.contains($0.address) }
      || members.contains { member, seen in addresses.contains(seen) && links.contains { $0.id == member } }
  }
}
