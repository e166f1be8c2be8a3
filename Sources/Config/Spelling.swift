/// "Did you mean": the nearest known word to a misspelt one.
enum Spelling {
  /// `; did you mean "x"?`, or nothing when no candidate is near.
  static func hint(for word: String, among candidates: [String]) -> String {
    guard word.utf8.count <= 64 else { return "" }
    let near = candidates.map { (candidate: $0, distance: distance(Array(word.utf8), Array($0.utf8))) }
      .min { $0.distance < $1.distance }
    guard let near, near.distance <= max(2, near.candidate.utf8.count / 3) else { return "" }
    return "; did you mean \"\(near.candidate)\"?"
  }

  /// Damerau's edit distance in its restricted form: insert, delete, replace, swap neighbours.
  static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
        row.append(cost)
      }
      (beforeLast, last) = (last, row)
    }
    return last[b.count]
  }
}
