import Primitives
import Wire

// Rule 1: a record passed on by others is as good as its signature, but a node that never answered takes up little:
// signatures cost nothing, so whoever likes can make records of nodes that are not there. Nor does what such a node sends by
// itself show more, for the source of a datagram can be made up.
extension MembershipMachine {
  /// The least time between two unseen members that make room for newcomers.
  static let displaceEach = Microseconds.milliseconds(100)
  /// The most members looked at to find one that does.
  static let maximumDisplaceLooks = 32

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

  /// Forgets an unseen member for a newcomer, so that those who came first do not keep out all others: rather one that is down
  /// or accused by this node, else whichever is drawn. Where one prefix is full, one of it. Few a second, or who makes up
  /// members without end would soon have replaced all that are there.
  mutating func displaceUnseen(at place: AddressPrefix?, _ now: Instant) -> Bool {
    guard lastDisplaced.wasAtLeast(MembershipMachine.displaceEach, before: now) else { return false }
    lastDisplaced = now
    let isFullPrefix = unseen.count(at: place) >= settings.maximumUnseenPerPrefix
    var displaced: NodeID?
    for _ in 0..<MembershipMachine.maximumDisplaceLooks {
      guard let member = unseen.draw(at: isFullPrefix ? place : nil, &generator), let entry = entries[member]
      else { break }
      guard entry.probe == nil, !links.contains(member) else { continue }
      displaced = member
      if entry.state == .down || entry.accusations.contains(id) { break }
    }
    guard let displaced else { return false }
    forget(displaced)
    counters.add("unseenDisplaced")
    return true
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
