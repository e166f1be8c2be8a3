import Config
import FoundationEssentials
import Glibc
import Node
import Sodium

/// What `linnet init` and `linnet join` write for a new node: its key and its node.conf.
struct NodeSetup {
  /// Where node.conf is or will be.
  let path: String
  /// Whether node.conf is there already.
  let isConfigured: Bool
  /// What holds with it, the environment and the flags.
  let configuration: NodeConfiguration

  /// Reads what is there; `flags` by dotted name.
  init(config: String?, flags: [String: String]) throws {
    path = config ?? NodeConfiguration.defaultPath(environment: Console.environment)
    isConfigured = access(path, F_OK) == 0
    configuration = try NodeConfiguration.load(
      path: isConfigured ? path : nil, environment: Console.environment, flags: flags)
  }

  /// Throws when a flag says something else than a node.conf that is there: that is what the daemon will read, and it is
  /// left as it is. `retry` is what to do after having changed it.
  func refuseOverruledFlags(retry: String) throws {
    guard isConfigured else { return }
    let kept = try NodeConfiguration.load(path: path, environment: Console.environment, flags: [:])
    let lost = kept.overruledByFlags(in: configuration)
    guard !lost.isEmpty else { return }
    throw Failure(
      "there is a node.conf at \(path), which a flag does not change: "
        + lost.map { "\($0.key) is \($0.before) there, not \($0.after)" }.joined(separator: "; "),
      suggestion: "change that there, or leave the flag out, and \(retry)",
      exitCode: NodeError.Code.configuration.rawValue)
  }

  /// Makes the key, and notes that it has never voted. Throws `KeyFileError` when there is one.
  func makeKey() throws -> SigningKey {
    let key = try SigningKey.generate()
    try KeyFile.create(key, at: configuration.node.key)
    try NeverVotedMarker(keyPath: configuration.node.key).write()
    return key
  }

  /// Writes the documented example as node.conf, with these keys set; each value as TOML has it.
  func writeConfiguration(_ settings: [(key: String, value: String)]) throws {
    var text = NodeConfiguration.example
    for (key, value) in settings { text = Self.setting(key, to: value, in: text) ?? text }
    let directory = Self.absolute(path).split(separator: "/").dropLast().joined(separator: "/")
    try FileManager.default.createDirectory(atPath: "/" + directory, withIntermediateDirectories: true)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// The text of a node.conf in which a key stands as the example has it, commented out, with the key set; nil when there is
  /// no such line.
  static func setting(_ key: String, to value: String, in text: String) -> String? {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard let index = lines.firstIndex(where: { $0.hasPrefix("#\(key) =") }) else { return nil }
    lines[index] = "\(key) = \(value)"
    return lines.joined(separator: "\n")
  }

  static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
