/// Notes where facts come from and why others are missing.
struct FactBook {
  private(set) var sources: [FactSource] = []
  private(set) var unread: [UnreadFact] = []

  mutating func read(_ what: String, from source: String) {
    sources.append(FactSource(what: what, from: source))
  }

  mutating func miss(_ what: String, _ why: String) {
    unread.append(UnreadFact(what: what, why: why))
  }
}
