import Foundation

/// What defaults depend on, read once, so that tests can choose it.
struct ConfigurationContext: Sendable {
  var effectiveUserID: UInt32
  var hostName: String
  var currentDirectory: String
  var environment: [String: String]

  static func ofHost(environment: [String: String]) -> ConfigurationContext {
    ConfigurationContext(
      effectiveUserID: geteuid(), hostName: ProcessInfo.processInfo.hostName,
      currentDirectory: FileManager.default.currentDirectoryPath, environment: environment)
  }

  private var isRoot: Bool { effectiveUserID == 0 }

  /// The XDG rules: relative values count as unset.
  private func directory(_ variable: String) -> String? {
    guard let value = environment[variable], value.hasPrefix("/"), value.count > 1 else { return nil }
    return value.hasSuffix("/") ? String(value.dropLast()) : value
  }

  private var home: String { directory("HOME") ?? "/tmp/linnet-\(effectiveUserID)" }

  var dataDirectory: String {
    if isRoot { return "/var/lib/linnet" }
    return (directory("XDG_STATE_HOME") ?? home + "/.local/state") + "/linnet"
  }

  var controlSocket: String {
    if isRoot { return "/run/linnet/control.sock" }
    if let runtime = directory("XDG_RUNTIME_DIR") { return runtime + "/linnet/control.sock" }
    return "/tmp/linnet-\(effectiveUserID)/control.sock"
  }

  var configurationFile: String {
    if isRoot { return "/etc/linnet/node.conf" }
    return (directory("XDG_CONFIG_HOME") ?? home + "/.config") + "/linnet/node.conf"
  }

  /// The first label of the host name where the whole is too long, and a word where there is none.
  var nodeName: String {
    let name = hostName.utf8.count <= 64 ? hostName : hostName.split(separator: ".").first.map(String.init) ?? ""
    return name.isEmpty || name.utf8.count > 64 ? "linnet" : name
  }
}

extension NodeConfiguration {
  /// Where the daemon looks for node.conf when no path is given: `/etc/linnet/node.conf` for root, else below
  /// `$XDG_CONFIG_HOME` or `~/.config`. It need not exist.
  package static func defaultPath(environment: [String: String]) -> String {
    ConfigurationContext.ofHost(environment: environment).configurationFile
  }

  /// The control socket of a daemon that was given no other: `/run/linnet/control.sock` for root, else below
  /// `$XDG_RUNTIME_DIR`, else in a directory of the user's own below `/tmp`.
  package static func defaultControlSocket(environment: [String: String]) -> String {
    ConfigurationContext.ofHost(environment: environment).controlSocket
  }

  /// The data directory of a daemon that was given no other: `/var/lib/linnet` for root, else below
  /// `$XDG_STATE_HOME` or `~/.local/state`.
  package static func defaultDataDirectory(environment: [String: String]) -> String {
    ConfigurationContext.ofHost(environment: environment).dataDirectory
  }
}
