import Primitives
import Wire

// Rule 1: a record passed on by others is as good as its signature, but a node that never answered takes up little:
// signatures cost nothing, so whoever likes can make records of nodes that are not there. Nor does what such a node sends by
// itself show more, for the source of a datagram can be made up.
extension MembershipMachine {
  /// The member has answered a ping, which nobody does who did not get it, or spoken over a link with it.
  mutating func noteHeard(_ member: NodeID, at address: PeerAddress?) {
    guard let entry = entries[member], entry.isUnseen else { return }
    let place = AddressPrefix(address)
    guard seen.count(at: place) < settings.maximumSeenPerPrefix else { return }
    unseen.remove(member, at: entry.unseenPlace)
    seen.insert(member, at: place)
    _ = entries.modify(member) { entry in
      entry.isUnseen = false
      entry.seenPlace = place
    }
  }

  /// True when one more may be held at a place of which others told.
  func hasRoomForUnseen(at place: AddressPrefix?) -> Bool {
    unseen.count < settings.maximumUnseen && unseen.count(at: place) < settings.maximumUnseenPerPrefix
  }

  /// A member that is unseen, and still is, names another address.
  mutating func moveUnseen(_ entry: inout MemberEntry, to body: NodeRecord) -> Bool {
    let place = AddressPrefix(body.addresses.first)
    guard entry.isUnseen, place != entry.unseenPlace else { return true }
    let member = entry.record.author
    unseen.remove(member, at: entry.unseenPlace)
    let hasRoom = hasRoomForUnseen(at: place)
    unseen.insert(member, at: hasRoom ? place : entry.unseenPlace)
    if hasRoom { entry.unseenPlace = place }
    return hasRoom
  }
}
