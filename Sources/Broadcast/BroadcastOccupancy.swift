import Primitives

extension BroadcastMachine {
  /// How full every bounded collection is. What each message has of its own is told of the message that has the most.
  public var occupancy: [Occupancy] {
    [
      Occupancy(name: "links", count: links.count, limit: BroadcastMachine.maximumLinks),
      Occupancy(name: "conduct", count: conduct.count, limit: ConductBook.maximumNodes),
      Occupancy(name: "kept", count: kept.count, limit: BroadcastMachine.maximumLinks),
      Occupancy(
        name: "unwantedByOne", count: links.reduce(0) { max($0, $1.value.unwanted.count) },
        limit: settings.maximumUnwanted),
      Occupancy(name: "seen", count: seen.count, limit: seen.capacity),
      Occupancy(name: "stored", count: store.count, limit: settings.maximumStored),
      Occupancy(name: "storedBytes", count: store.bytes, limit: settings.maximumStoredBytes),
      Occupancy(name: "holdersOfOne", count: store.mostHolders, limit: MessageStore.maximumHolders),
      // What is told anew is stored, too.
      Occupancy(name: "fresh", count: fresh.count, limit: settings.maximumStored),
      Occupancy(name: "wanted", count: wants.count, limit: settings.maximumWanted),
      Occupancy(name: "askedPeers", count: wants.askedPeers, limit: BroadcastMachine.maximumLinks),
      Occupancy(name: "announcersOfOne", count: wants.mostAnnouncers, limit: Wants.maximumAnnouncers),
    ]
  }
}
