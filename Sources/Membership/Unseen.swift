import Primitives
import Wire

/// How many members there are of whom others told and nothing was heard, in all and in each address prefix: signatures
/// cost nothing, so whoever likes can make records of nodes that are not there.
struct UnseenTally: Sendable {
  private(set) var count = 0
  private var places = Table<AddressPrefix, Int>()

  func hasRoom(at place: AddressPrefix?, _ settings: MembershipSettings) -> Bool {
    count < settings.maximumUnseen && (place.map { places[$0, default: 0] < settings.maximumUnseenPerPrefix } ?? true)
  }

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

// Rule 1: a record passed on by others is as good as its signature, but a node that was never heard takes up little.
extension MembershipMachine {
  /// Something came from the member itself.
  mutating func noteHeard(_ member: NodeID) {
    let wasUnseen = entries.modify(member) { entry in
      defer { entry.isUnseen = false }
      return entry.isUnseen
    }
    if wasUnseen == true { unseen.remove(at: entries[member]?.unseenPlace) }
  }

  /// A member that is unseen, and still is, names another address.
  mutating func moveUnseen(_ entry: inout MemberEntry, to body: NodeRecord) -> Bool {
    let place = AddressPrefix(body.addresses.first)
    guard entry.isUnseen, place != entry.unseenPlace else { return true }
    unseen.remove(at: entry.unseenPlace)
    let hasRoom = unseen.hasRoom(at: place, settings)
    unseen.add(at: hasRoom ? place : entry.unseenPlace)
    if hasRoom { entry.unseenPlace = place }
    return hasRoom
  }
}
