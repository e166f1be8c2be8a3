/// Ids that a person types may be cut short as long as they stay unique.
package enum Abbreviation {
  /// The fewest characters that stand for an id.
  package static let minimumCharacters = 4

  /// The one id among `ids` that `text` is or begins; throws `<kind>Unknown` or `idAmbiguous`.
  package static func resolve(_ text: String, among ids: some Sequence<String>, kind: String) throws -> String {
    var matches = 0
    var found: String?
    for id in ids {
      if id == text { return id }
      if text.count >= minimumCharacters, id.hasPrefix(text) {
        matches += 1
        found = id
      }
    }
    guard let found else {
      throw ControlError.unknown(
        kind, text,
        suggestion: text.count < minimumCharacters ? "give at least \(minimumCharacters) characters of the id" : nil)
    }
    guard matches == 1 else { throw ControlError.ambiguous(kind, text, matches: matches) }
    return found
  }
}
