/// Where the value of a key came from. Later sources win: default, file, environment, flag.
package enum ConfigurationSource: Hashable, Sendable, CustomStringConvertible {
  /// The default of the key table.
  case fallback
  /// A line of node.conf; the line is nil where it could not be found.
  case file(path: String, line: Int?)
  /// An environment variable, by its name.
  case environment(name: String)
  /// A flag of the command line, by the dotted name of the key that it sets.
  case flag(name: String)

  /// `default`, `PATH:LINE`, `environment NAME` or `flag NAME`.
  package var description: String {
    switch self {
    case .fallback: "default"
    case .file(let path, let line): line.map { "\(path):\($0)" } ?? path
    case .environment(let name): "environment \(name)"
    case .flag(let name): "flag \(name)"
    }
  }
}

/// One thing wrong with a configuration.
package struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
  /// What kind of mistake it is; stable, for programs.
  package enum Code: String, Hashable, Sendable {
    case fileUnreadable, syntax, unknownSection, unknownKey, wrongType, invalidValue, conflict
  }

  /// What kind of mistake it is.
  package let code: Code
  /// The section's name without brackets, where there is one.
  package let section: String?
  /// The key's name within its section, where there is one.
  package let key: String?
  /// Where the mistake was read.
  package let source: ConfigurationSource
  /// What was expected, what was found and what to do, for a person.
  package let message: String

  /// `SOURCE: [section] key: message`.
  package var description: String {
    var place = "\(source): "
    if let section { place += "[\(section)] " }
    if let key { place += "\(key): " } else if section != nil { place = String(place.dropLast()) + ": " }
    return place + message
  }
}

/// All that is wrong with a configuration, in the order file, environment, flags, then what contradicts.
package struct ConfigurationError: Error, Sendable, CustomStringConvertible {
  /// At least one problem.
  package let problems: [ConfigurationProblem]

  /// One problem a line.
  package var description: String { problems.map(\.description).joined(separator: "\n") }
}
