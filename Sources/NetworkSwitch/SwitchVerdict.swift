import Primitives

/// What becomes of a packet.
package enum SwitchVerdict: Sendable, Equatable {
  /// It arrives then, as often as that.
  case carried(at: Instant, copies: Int)
  /// It never arrives.
  case dropped(SwitchDrop)
}

/// Why a packet never arrives.
package enum SwitchDrop: Sendable, Equatable {
  /// Nothing goes that way: a partition, a one-way path, a deaf receiver or a mute sender.
  case blocked
  /// Lost by chance.
  case lost
  /// As many bytes wait for a slow line as may.
  case full
}

/// What went over one path.
package struct SwitchTraffic: Sendable, Equatable, Codable {
  /// What the sender gave to the switch.
  package var offeredPackets: UInt64 = 0
  /// Bytes of them, with IP headers.
  package var offeredBytes: UInt64 = 0
  /// What goes on to the receiver; copies do not count.
  package var carriedPackets: UInt64 = 0
  /// Bytes of them.
  package var carriedBytes: UInt64 = 0
  /// Packets that went twice.
  package var duplicatedPackets: UInt64 = 0
  /// Packets that went before their turn.
  package var reorderedPackets: UInt64 = 0
  /// Packets that were blocked.
  package var blockedPackets: UInt64 = 0
  /// Packets lost by chance.
  package var lostPackets: UInt64 = 0
  /// Packets that found the queue of a slow line full.
  package var fullPackets: UInt64 = 0

  /// Nothing yet.
  package init() {}

  /// Adds another path's.
  package mutating func add(_ other: SwitchTraffic) {
    offeredPackets += other.offeredPackets
    offeredBytes += other.offeredBytes
    carriedPackets += other.carriedPackets
    carriedBytes += other.carriedBytes
    duplicatedPackets += other.duplicatedPackets
    reorderedPackets += other.reorderedPackets
    blockedPackets += other.blockedPackets
    lostPackets += other.lostPackets
    fullPackets += other.fullPackets
  }
}
