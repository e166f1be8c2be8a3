import Primitives
import Wire

// Rule 8: where this node can be reached, from its interfaces and from what others see.
extension MembershipMachine {
  /// The most interface addresses kept in mind.
  static let maximumInterfaces = 64

  /// Who sees this node where.
  public var observations: [(reporter: NodeID, address: PeerAddress)] { observed.all }

  mutating func interfacesChanged(
    _ addresses: [PeerAddress], _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    let usable = addresses.filter(\.isUsable).prefix(MembershipMachine.maximumInterfaces)
    guard interfaces != Array(usable) else { return }
    if let shown = interfaces.map(MembershipMachine.shown)?.first, !usable.contains(shown) {
      // Where others saw this node, and that they could dial it, was about another place. An interface more or less, as
      // a bridge of containers, is none.
      observed.removeAll()
      lastInbound = nil
    }
    interfaces = Array(usable)
    lastAddressChange = nil
    reviewOwnAddresses(now, &identity, &effects)
  }

  /// Somebody who was reached by this node, or who reached it, names the address that it did so at. It counts only if it
  /// comes from where the reporter is for sure: identities and the sources of datagrams are free.
  mutating func consider(_ address: PeerAddress, by reporter: NodeID, from source: PeerAddress, _ now: Instant) {
    guard address.isUsable else { return counters.add("observedUnusable") }
    _ = entries.modify(reporter) { $0.account.reported(address, by: reporter, now) }
    guard entries[reporter]?.verified == source else { return }
    observed.report(address, by: reporter, at: source, privateIsOne: !isAmongPrivate, now)
  }

  /// True when this node itself is in private ranges only, as in a lab. Elsewhere those who are there are on this node's own
  /// network, all together as good as one.
  var isAmongPrivate: Bool { ownBody.addresses.allSatisfy(\.isPrivate) }

  /// Makes a new record when this node is reached elsewhere than its record says, or through others. Configured addresses
  /// stay. At most once in a while: a record is told to everybody.
  mutating func reviewOwnAddresses(
    _ now: Instant, _ identity: inout Identity, _ effects: inout [MembershipEffect]
  ) {
    guard isRunning, !settings.hasFixedAddresses else { return }
    guard lastAddressChange.wasAtLeast(settings.addressInterval, before: now) else { return }
    let port = (interfaces ?? ownBody.addresses).first?.port
    let agreed = observed.agreed(needed: min(2, activeCount - 1), port: port, now)
    var addresses = ownBody.addresses
    let wasBehindNAT = isBehindNAT
    isBehindNAT = false
    if let interfaces {
      let shown = MembershipMachine.shown(interfaces)
      if let agreed, !interfaces.contains(where: { $0.ip == agreed.address.ip }) {
        // It is reached there, where a NAT maps one to one or a port is forwarded, or nowhere. From its own network it is
        // reached where it is.
        isBehindNAT = !isReached(now)
        let inside = shown.filter { !$0.isLoopback || agreed.address.isLoopback }
        addresses = [agreed.address] + inside.prefix(NodeRecord.maximumAddresses - 1)
      } else if !shown.isEmpty {
        addresses = shown
      }
    } else if let agreed, isAddressLearned || !ownBody.addresses.contains(where: \.isUsable) {
      addresses = [agreed.address]
      isAddressLearned = true
    }
    let via = isBehindNAT ? chooseVia() : []
    let isMoved = addresses != ownBody.addresses
    if isBehindNAT != wasBehindNAT || via != ownBody.via { effects.append(.nat(isBehind: isBehindNAT, via: via)) }
    guard isMoved || via != ownBody.via else { return }
    lastAddressChange = now
    if isMoved {
      if let agreed, addresses.first == agreed.address {
        effects.append(.addressLearned(agreed.address, reporters: agreed.reporters))
      }
      effects.append(.addressChanged(from: ownBody.addresses, to: addresses))
    }
    counters.add(isMoved ? "addressLearned" : "viaChanged")
    ownBody.addresses = addresses
    ownBody.via = via
    renewOwnRecord(now, &identity, &effects)
    guard isMoved else { return }
    // Links may be of no use any more where the host has moved: a few hear of it by a ping from the new place.
    for peer in sampleRing(Rumours.maximumCount, where: { $1.isActive }) {
      startProbe(peer, .errand, now, &identity, &effects)
    }
  }

  /// True when others can dial this node: one from outside of its own network has done so lately, and be it that the link
  /// still stands.
  private func isReached(_ now: Instant) -> Bool {
    if let lastInbound, now - lastInbound < settings.inboundProof { return true }
    return links.values.contains { !$0.isOutbound && !isNeighbour($0.address) }
  }

  /// True for who is on the same private network: that it can dial this node says nothing of others.
  func isNeighbour(_ address: PeerAddress) -> Bool {
    address.isPrivate && (interfaces ?? []).contains { $0.isPrivate && $0.prefix == address.prefix }
  }

  /// What a record says of the interfaces: those that others can reach first, loopback only when there is nothing else.
  private static func shown(_ interfaces: [PeerAddress]) -> [PeerAddress] {
    let reachable = interfaces.filter { !$0.isLoopback }
    let candidates = reachable.isEmpty ? interfaces : reachable
    let ordered = candidates.filter { !$0.isPrivate } + candidates.filter(\.isPrivate)
    return Array(ordered.prefix(NodeRecord.maximumAddresses))
  }

  /// Linked members that can be dialled themselves; those that are named already stay, then the oldest link first.
  private func chooseVia() -> [NodeID] {
    let fit = links.filter { peer, _ in
      guard let entry = entries[peer] else { return false }
      return entry.state == .alive && entry.body.via.isEmpty && entry.body.addresses.contains(where: \.isUsable)
    }
    let kept = fit.filter { ownBody.via.contains($0.key) }
    let others = fit.filter { !ownBody.via.contains($0.key) }.sorted {
      $0.value.since == $1.value.since ? $0.key < $1.key : $0.value.since < $1.value.since
    }
    return (kept + others).prefix(NodeRecord.maximumVia).map(\.key).sorted()
  }

  /// True when no interface has an address of this one's family, so that nothing can be written to it. Loopback, which every
  /// host has of both, does not count.
  func lacksFamily(of address: PeerAddress) -> Bool {
    guard let interfaces, !address.isLoopback else { return false }
    let outward = interfaces.filter { !$0.isLoopback }
    return !outward.isEmpty && !outward.contains { $0.isIPv4 == address.isIPv4 }
  }

  /// True for a member that is only where this node cannot write to for want of an address of that family. Others can.
  func isOfAnotherFamily(_ body: NodeRecord) -> Bool {
    let usable = body.addresses.filter(\.isUsable)
    return !usable.isEmpty && usable.allSatisfy(lacksFamily)
  }

  /// True when a ping to a member that can't be dialled has a chance: it spoke to this node from there just now.
  func isHeard(_ entry: MemberEntry, _ now: Instant) -> Bool {
    entry.heardAt.map { now - $0 < settings.heardSpan } ?? false
  }

  /// A datagram of a member came from an address. Of a member behind a NAT that is where an answer finds it.
  mutating func noteSource(of member: NodeID, _ source: PeerAddress, _ now: Instant) {
    let mayBeUsed = mayBeSentTo(source)
    _ = entries.modify(member) { entry in
      entry.account.saw(at: source, now)
      if !entry.body.via.isEmpty, mayBeUsed { entry.address = source }
      if entry.address == source { entry.heardAt = now }
    }
  }
}
