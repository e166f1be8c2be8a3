/// What the options of `linnet run` and `linnet job submit` mean, apart from what they name on disk.
package enum JobArguments {
  /// Reads `-i path` and `-i name=path`: what stands before the first `=` is the name, unless it holds a `/`. Without a
  /// name it is the last component of the path; nil where there is none (`.`, `..`, `/`).
  package static func input(_ text: String) -> (name: String?, path: String) {
    if let mark = text.firstIndex(of: "="), !text[..<mark].contains("/") {
      return (String(text[..<mark]), String(text[text.index(after: mark)...]))
    }
    let last = text.split(separator: "/").last.map(String.init)
    return (last == "." || last == ".." ? nil : last, text)
  }

  /// Reads `-e K=V` and `--label k=v`; nil without a `=` or a name.
  package static func pair(_ text: String) -> (name: String, value: String)? {
    guard let mark = text.firstIndex(of: "="), mark > text.startIndex else { return nil }
    return (String(text[..<mark]), String(text[text.index(after: mark)...]))
  }
}
