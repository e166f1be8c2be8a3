import Primitives

/// Members by the address prefix that they are in; in private ranges, which have none, each is by itself.
struct PrefixIndex<Member: Comparable & Sendable>: Sendable {
  private var prefixes = Table<AddressPrefix, OrderedSet<Member>>()
  private var privates = OrderedSet<Member>()
  /// How many members there are.
  private(set) var count = 0

  /// How many prefixes have members.
  var prefixCount: Int { prefixes.count }

  /// How many members are in private ranges.
  var privateCount: Int { privates.count }

  /// How many are in a prefix; 0 in private ranges, which are not counted by prefix.
  func count(at place: AddressPrefix?) -> Int { place.flatMap { prefixes[$0]?.count } ?? 0 }

  /// The members of each place: a prefix, or a host in private ranges.
  var groups: [[Member]] { prefixes.values.map(\.members) + privates.members.map { [$0] } }

  /// A member at a place drawn by chance, each place as likely as another, and the number of the place.
  func draw(_ generator: inout SeededGenerator) -> (place: Int, member: Member)? {
    guard count > 0 else { return nil }
    let place = generator.index(below: prefixes.count + privates.count)
    guard let members = prefixes.entry(at: place)?.value else {
      return privates.member(at: place - prefixes.count).map { (place, $0) }
    }
    return members.member(at: generator.index(below: members.count)).map { (place, $0) }
  }

  /// A member of a prefix, or, of none, one of all, drawn by chance.
  func draw(at place: AddressPrefix?, _ generator: inout SeededGenerator) -> Member? {
    if let place, let members = prefixes[place] { return members.member(at: generator.index(below: members.count)) }
    return draw(&generator)?.member
  }

  mutating func insert(_ member: Member, at place: AddressPrefix?) {
    let isNew =
      if let place { prefixes[place, default: OrderedSet()].insert(member) } else { privates.insert(member) }
    if isNew { count += 1 }
  }

  mutating func remove(_ member: Member, at place: AddressPrefix?) {
    guard let place else {
      if privates.remove(member) { count -= 1 }
      return
    }
    guard prefixes.modify(place, { $0.remove(member) }) == true else { return }
    count -= 1
    if count(at: place) == 0 { prefixes[place] = nil }
  }
}
