import Core
import Logging
import Primitives
import Transport
import Wire

/// Keeps a validator linked with all validators of this epoch and the next, whatever membership thinks enough: votes
/// go over links.
struct ValidatorLinks {
  private static let firstPauseSeconds = 1.0
  private static let settledPauseSeconds = 5.0
  /// The most dials of one round.
  private static let maximumDials = 16

  let node: RunningNode

  /// Runs until the task is cancelled.
  func run() async {
    while !Task.isCancelled {
      let isWhole = await dialMissing()
      try? await Task.sleep(
        for: .seconds(isWhole ? ValidatorLinks.settledPauseSeconds : ValidatorLinks.firstPauseSeconds))
    }
  }

  /// True when there is a link to each, or nothing to dial.
  private func dialMissing() async -> Bool {
    let linked = Set((node.shell.endpoint.value?.links ?? []).map(\.id))
    let sets = node.shell.validators.sets(from: await node.driver.read { core, _ in core.consensus.epoch })
    let wanted = ValidatorLinks.missing(own: node.id, sets: sets, linked: linked)
    guard !wanted.isEmpty else { return true }
    let addresses = await node.driver.read { core, _ in
      wanted.compactMap { id -> (PeerAddress, NodeID)? in
        guard let member = core.membership.member(id), member.state != .left else { return nil }
        return (member.address ?? member.record.addresses.first { $0.isUsable }).map { ($0, id) }
      }
    }
    for (address, id) in addresses.prefix(ValidatorLinks.maximumDials) {
      node.shell.endpoint.value?.dial(address, expecting: id)
    }
    return addresses.isEmpty
  }

  /// The validators that a node lacks links to; none for a node that is no validator.
  static func missing(own: NodeID, sets: [ValidatorSet], linked: Set<NodeID>) -> [NodeID] {
    guard sets.contains(where: { $0.index(of: own) != nil }) else { return [] }
    return Set(sets.flatMap(\.members)).filter { $0 != own && !linked.contains($0) }.sorted()
  }
}
