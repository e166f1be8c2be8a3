import Membership
import Primitives

/// What a simulation of many nodes' membership is to be.
package struct ScaleOptions: Sendable, Equatable {
  /// The fewest nodes that can be simulated: two may die.
  package static let fewestNodes = 8
  /// The most nodes that can be simulated.
  package static let mostNodes = 60_000

  /// How many nodes there are at first.
  package var count: Int
  /// What everything random comes from.
  package var seed: UInt64 = 1
  /// Datagrams lost, and messages of links delayed by a retransmission, in a million.
  package var lossPartsPerMillion: UInt64 = 0
  /// Nodes that stop for one to four seconds now and then, in a million.
  package var slowPartsPerMillion: UInt64 = 0
  /// How long the idle network is watched.
  package var idle = Microseconds.seconds(30)
  /// Whether something happens after that: messages are published, a node joins, one is killed, one loses its power.
  package var hasEvents = true
  /// The knobs of every node.
  package var settings: MembershipSettings = {
    var settings = MembershipSettings.lan
    settings.detailedMembers = 64
    return settings
  }()
  /// The delay between two nodes at least, and how much more it may be.
  package var delay = Microseconds.milliseconds(5)
  package var delaySpread = Microseconds.milliseconds(25)

  /// A network of `count` nodes.
  package init(count: Int) { self.count = count }

  /// What is wrong with the options; nil when they can be run.
  package var mistake: String? {
    guard (ScaleOptions.fewestNodes...ScaleOptions.mostNodes).contains(count) else {
      return "members must be \(ScaleOptions.fewestNodes) to \(ScaleOptions.mostNodes)"
    }
    guard lossPartsPerMillion <= 500_000, slowPartsPerMillion <= 500_000 else {
      return "half of all datagrams, or of all nodes, is the most that may be lost or slow"
    }
    return nil
  }
}
