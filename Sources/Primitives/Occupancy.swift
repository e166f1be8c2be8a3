/// How full a bounded collection is.
public struct Occupancy: Hashable, Sendable {
  /// What it holds, in camelCase; what a part of a node holds has that part and a dot before it.
  public let name: String
  /// The entries now.
  public let count: Int
  /// The most entries there may be.
  public let limit: Int

  /// `count` of at most `limit` entries.
  public init(name: String, count: Int, limit: Int) {
    self.name = name
    self.count = count
    self.limit = limit
  }

  /// True when there is more than there may be: a fault of ours, whatever peers do.
  public var isExceeded: Bool { count > limit }

  /// The same, told by the part of a node that holds it.
  public func of(_ part: String) -> Occupancy { Occupancy(name: "\(part).\(name)", count: count, limit: limit) }
}
