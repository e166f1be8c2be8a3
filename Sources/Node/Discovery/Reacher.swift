import Core
import Primitives
import Transport
import Wire

/// Gets a link with a node: the one that is there, else by dialling it, else, when nobody can dial it, by having it dial this
/// node through a member that it names.
struct Reacher: Sendable {
  /// How long a dial, or a reverse dial, may take to become a link.
  private static let waitSeconds = 8.0
  /// A dial takes some round trips, of which this is a part. That a link is up is told to the node as a whole; the few who wait
  /// here do so for seconds, and a look is one lock and a short list, so they are not told one by one.
  private static let lookSeconds = 0.05
  private static let askSeconds = 6.0
  private static let maximumDials = 2

  /// Who is linked.
  let links: @Sendable () -> [NodeID]
  /// The record of a live member, and where it was seen.
  let member: @Sendable (NodeID) async -> (record: NodeRecord, address: PeerAddress?)?
  let dial: @Sendable (PeerAddress, NodeID) -> Void
  /// Asks a linked node for service 5.
  let tell: @Sendable (ConnectRequest, NodeID) async -> ConnectAnswer?

  init(
    links: @escaping @Sendable () -> [NodeID],
    member: @escaping @Sendable (NodeID) async -> (record: NodeRecord, address: PeerAddress?)?,
    dial: @escaping @Sendable (PeerAddress, NodeID) -> Void,
    tell: @escaping @Sendable (ConnectRequest, NodeID) async -> ConnectAnswer?
  ) {
    self.links = links
    self.member = member
    self.dial = dial
    self.tell = tell
  }

  /// Over a hub.
  init(hub: ServiceHub, driver: CoreDriver, links: LateBound<LinkEndpoint>) {
    self.init(
      links: { links.value?.links.map(\.id) ?? [] },
      member: { id in
        await driver.read { core, _ in
          guard let member = core.membership.member(id), member.isLive else { return nil }
          return (member.record, member.address)
        }
      },
      dial: { address, id in links.value?.dial(address, expecting: id) },
      tell: { request, peer in
        let answer = try? await hub.ask(.connect, request.encoded, of: peer, timeoutSeconds: Reacher.askSeconds)
        return answer.flatMap { try? ConnectAnswer(decoding: $0) }
      })
  }

  /// True once there is a link with the node.
  func reach(_ id: NodeID) async -> Bool {
    if isLinked(id) { return true }
    guard let (record, address) = await member(id) else { return false }
    guard !record.via.isEmpty else { return await reachByDial(id, [address].compactMap { $0 } + record.addresses) }
    for helper in record.via {
      // One that is not linked is a member that can be dialled.
      if !isLinked(helper) {
        guard let (record, address) = await member(helper), record.via.isEmpty,
          await reachByDial(helper, [address].compactMap { $0 } + record.addresses)
        else { continue }
      }
      guard await tell(.tell(id), helper) == .dialling else { continue }
      if await becomesLinked(id) { return true }
    }
    return isLinked(id)
  }

  private func reachByDial(_ id: NodeID, _ addresses: [PeerAddress]) async -> Bool {
    var dialled: [PeerAddress] = []
    for address in addresses where address.isUsable && !dialled.contains(address) {
      guard dialled.count < Reacher.maximumDials else { break }
      dialled.append(address)
      dial(address, id)
    }
    return dialled.isEmpty ? false : await becomesLinked(id)
  }

  private func becomesLinked(_ id: NodeID) async -> Bool {
    let end = MonotonicClock.now() + Microseconds(Int64(Reacher.waitSeconds * 1_000_000))
    while !isLinked(id) {
      guard !Task.isCancelled, MonotonicClock.now() < end else { return false }
      try? await Task.sleep(for: .seconds(Reacher.lookSeconds))
    }
    return true
  }

  private func isLinked(_ id: NodeID) -> Bool { links().contains(id) }
}
