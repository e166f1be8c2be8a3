/// The connections that were accepted and whose handshakes are not done, and which of them gives way when there is no room
/// for a further one. Pure.
struct HandshakePlaces<ID: Hashable> {
  private struct Place {
    var id: ID
    var prefix: [UInt8]
  }

  let maximum: Int
  let maximumOfPrefix: Int
  /// The oldest first.
  private var places: [Place] = []

  init(maximum: Int, maximumOfPrefix: Int) {
    self.maximum = maximum
    self.maximumOfPrefix = maximumOfPrefix
  }

  /// Whether there is a place for a connection from a prefix.
  enum Room: Equatable {
    case free
    /// That of another, which is to be closed.
    case of(ID)
    case full
  }

  /// When all places are taken, the prefix that has most gives one up, if it has more than the newcomer's: that of its oldest
  /// connection which has said nothing, since who dials speaks first; or else its oldest, unless it would then have fewer
  /// than the newcomer's. So whoever is silent keeps nobody else out, however many prefixes it comes from. And a prefix that
  /// has none gets one of those that have one each by `chance`: a handshake takes a small part of the time that one which
  /// is never finished may have, so that chance meets it seldom.
  ///
  /// - Parameter chance: picks one of so many, at least 1.
  func room(for prefix: [UInt8], isSilent: (ID) -> Bool, chance: (Int) -> Int) -> Room {
    var counts: [[UInt8]: Int] = [:]
    for place in places { counts[place.prefix, default: 0] += 1 }
    let own = counts[prefix, default: 0]
    guard own < maximumOfPrefix else { return .full }
    guard places.count >= maximum else { return .free }
    let most = counts.values.max() ?? 0
    guard most > own else { return .full }
    let others = places.filter { counts[$0.prefix] == most }
    if let silent = others.first(where: { isSilent($0.id) }) { return .of(silent.id) }
    if most >= own + 2 { return others.first.map { .of($0.id) } ?? .full }
    return own == 0 ? .of(others[chance(others.count)].id) : .full
  }

  mutating func insert(_ id: ID, from prefix: [UInt8]) { places.append(Place(id: id, prefix: prefix)) }

  mutating func remove(_ id: ID) { places.removeAll { $0.id == id } }
}
