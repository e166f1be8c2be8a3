import Primitives
import Wire

/// How many members of a kind there are, in all and in each address prefix.
struct PrefixTally: Sendable {
  private(set) var count = 0
  private var places = Table<AddressPrefix, Int>()

  /// How many are in a prefix; 0 in private ranges, which are not counted by prefix.
  func count(at place: AddressPrefix?) -> Int { place.map { places[$0, default: 0] } ?? 0 }

  mutating func add(at place: AddressPrefix?) {
    count += 1
    if let place { places[place, default: 0] += 1 }
  }

  mutating func remove(at place: AddressPrefix?) {
    count -= 1
    guard let place, let held = places[place] else { return }
    places[place] = held > 1 ? held - 1 : nil
  }
}

// Rule 1: a record passed on by others is as good as its signature, but a node that never answered takes up little:
// signatures cost nothing, so whoever likes can make records of nodes that are not there. Nor does what such a node sends by
// itself show more, for the source of a datagram can be made up.
extension MembershipMachine {
  /// The member has answered a ping, which nobody does who did not get it, or spoken over a link with it.
  mutating func noteHeard(_ member: NodeID, at address: PeerAddress?) {
    guard let entry = entries[member], entry.isUnseen else { return }
    let place = AddressPrefix(address)
    guard seen.count(at: place) < settings.maximumSeenPerPrefix else { return }
    unseen.remove(at: entry.unseenPlace)
    seen.add(at: place)
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
    unseen.remove(at: entry.unseenPlace)
    let hasRoom = hasRoomForUnseen(at: place)
    unseen.add(at: hasRoom ? place : entry.unseenPlace)
    if hasRoom { entry.unseenPlace = place }
    return hasRoom
  }
}
