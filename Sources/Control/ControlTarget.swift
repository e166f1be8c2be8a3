/// Which node a command talks to. The first rule that applies decides:
///
/// 1. `--socket PATH`.
/// 2. `--node N` or `--dir DIR`: node N (1 when only the directory is given) of the testnet in DIR, else in
///    `LINNET_TESTNET`, else in the default directory.
/// 3. `LINNET_SOCKET`.
/// 4. `LINNET_TESTNET`: its node 1.
/// 5. The user's daemon, when it answers; the system's, when it answers.
/// 6. Node 1 of the default testnet, when it answers.
///
/// A flag stands above the environment, as everywhere in Linnet.
package enum ControlTarget {
  /// What the command line says.
  package struct Flags: Sendable, Equatable {
    /// `--socket`
    package var socket: String?
    /// `--node`, from 1.
    package var node: Int?
    /// `--dir`
    package var directory: String?

    /// Every field.
    package init(socket: String? = nil, node: Int? = nil, directory: String? = nil) {
      self.socket = socket
      self.node = node
      self.directory = directory
    }
  }

  /// The socket of the system's daemon.
  package static let systemSocket = "/run/linnet/control.sock"

  /// The socket of the daemon of the user with that id, below `XDG_RUNTIME_DIR` or a directory of its own below /tmp.
  package static func userSocket(environment: [String: String], userID: UInt32) -> String {
    if let directory = baseDirectory("XDG_RUNTIME_DIR", environment) { return directory + "/linnet/control.sock" }
    return "/tmp/linnet-\(userID)/control.sock"
  }

  /// Where `linnet testnet` lives by default: below the user's state directory.
  package static func defaultTestnetDirectory(environment: [String: String]) -> String {
    let state = baseDirectory("XDG_STATE_HOME", environment) ?? (value("HOME", environment) ?? "") + "/.local/state"
    return state + "/linnet/testnet"
  }

  /// The directory of the testnet that is meant: `--dir`, `LINNET_TESTNET` or the default.
  package static func testnetDirectory(flag: String?, environment: [String: String]) -> String {
    flag ?? value("LINNET_TESTNET", environment) ?? defaultTestnetDirectory(environment: environment)
  }

  /// The socket of a testnet's node.
  package static func socket(ofNode node: Int, inTestnet directory: String) -> String {
    directory + "/node\(node)/control.sock"
  }

  /// The path of the socket to open. `answers` tells whether a daemon listens on a path; it is asked only where the
  /// rules say "when it answers". Throws `ControlError` when no rule applies.
  package static func resolve(
    _ flags: Flags, environment: [String: String], userID: UInt32, answers: (String) -> Bool
  ) throws -> String {
    if let socket = flags.socket { return socket }
    if flags.node != nil || flags.directory != nil {
      let node = flags.node ?? 1
      guard node >= 1 else {
        throw ControlError.invalid("there is no node \(node)", suggestion: "nodes of a testnet are counted from 1")
      }
      return socket(
        ofNode: node, inTestnet: testnetDirectory(flag: flags.directory, environment: environment))
    }
    if let socket = value("LINNET_SOCKET", environment) { return socket }
    if let directory = value("LINNET_TESTNET", environment) { return socket(ofNode: 1, inTestnet: directory) }
    let candidates = [
      userSocket(environment: environment, userID: userID), systemSocket,
      socket(ofNode: 1, inTestnet: defaultTestnetDirectory(environment: environment)),
    ]
    if let running = candidates.first(where: answers) { return running }
    throw ControlError(
      code: "noDaemon", status: 503, title: "No daemon answers",
      detail: "no daemon answers at \(candidates.joined(separator: ", "))",
      suggestion: "start one with `linnet daemon` or `linnet testnet up`, or name its socket: --socket PATH")
  }

  /// The XDG Base Directory Specification: a relative path counts as none.
  private static func baseDirectory(_ name: String, _ environment: [String: String]) -> String? {
    value(name, environment).flatMap { $0.hasPrefix("/") ? $0 : nil }
  }

  /// An empty variable is as good as none.
  private static func value(_ name: String, _ environment: [String: String]) -> String? {
    environment[name].flatMap { $0.isEmpty ? nil : $0 }
  }
}
