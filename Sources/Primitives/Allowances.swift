/// What each asker may have so often: so much at once, and then one more in each interval.
///
/// Bounded in number: the asker that came first is forgotten first, however often it asked since, and then it has all of its
/// allowance again. Whoever could ask under that many names has an allowance under each of them anyway.
public struct Allowances<Asker: Comparable & Sendable>: Sendable {
  private let atOnce: Int64
  /// After this time one more is free.
  public let interval: Microseconds
  /// For each asker when its allowance was used up to.
  private var usedUntil: BoundedMap<Asker, Instant>

  /// All of its allowance for each. The interval is more than none.
  public init(atOnce: Int64, interval: Microseconds, maximumAskers: Int) {
    self.atOnce = atOnce
    self.interval = interval
    usedUntil = BoundedMap(capacity: maximumAskers)
  }

  /// So many in a minute, and as many at once.
  public init(perMinute count: Int, maximumAskers: Int) {
    self.init(atOnce: Int64(count), interval: .seconds(60) / Int64(count), maximumAskers: maximumAskers)
  }

  /// The number of askers remembered.
  public var count: Int { usedUntil.count }

  /// The most askers remembered.
  public var maximumAskers: Int { usedUntil.capacity }

  /// Takes from an asker's allowance. Returns how much of it is free.
  ///
  /// - Parameter more: what is free at once besides.
  public mutating func take(_ wanted: Int = 1, by asker: Asker, more: Int = 0, now: Instant) -> Int {
    let span = interval * (atOnce + Int64(more))
    let used = max(usedUntil[asker] ?? now - span, now - span)
    let free = min(Int64(wanted), (now - used).count / interval.count)
    guard free > 0 else { return 0 }
    usedUntil.insert(used + interval * free, forKey: asker)
    return Int(free)
  }
}
