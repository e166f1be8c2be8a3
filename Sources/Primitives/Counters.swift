/// Counts of things that happened, by name: what was refused or dropped, and why. Shown by `linnet status`.
public struct Counters: Sendable, Equatable {
  /// More names than this are counted together as `other`: names come from code, the bound is a guard.
  public static let maximumNames = 256

  private var table = Table<String, UInt64>()

  /// No counts.
  public init() {}

  /// Adds to a count, saturating.
  public mutating func add(_ name: String, _ amount: UInt64 = 1) {
    let key = table.contains(name) || table.count < Counters.maximumNames ? name : "other"
    let (sum, overflow) = table[key, default: 0].addingReportingOverflow(amount)
    table[key] = overflow ? .max : sum
  }

  /// The count of `name`, 0 when it never happened.
  public subscript(name: String) -> UInt64 { table[name] ?? 0 }

  /// All counts in the order of their names.
  public var all: [(name: String, count: UInt64)] { table.map { ($0.key, $0.value) } }

  /// Adds the counts of another.
  public mutating func merge(_ other: Counters) {
    for (name, count) in other.all { add(name, count) }
  }
}
