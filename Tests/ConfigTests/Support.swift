import Foundation

@testable import Config

/// A configuration as a host of the test's choosing would load it; the file's text stands in a directory of its own.
func load(
  _ text: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:], userID: UInt32 = 1000,
  hostName: String = "host.example"
) throws -> NodeConfiguration {
  let context = ConfigurationContext(
    effectiveUserID: userID, hostName: hostName, currentDirectory: "/work/here",
    environment: ["HOME": "/home/u"].merging(environment) { $1 })
  guard let text else { return try NodeConfiguration.load(path: nil, flags: flags, context: context) }
  let directory = FileManager.default.temporaryDirectory.appendingPathComponent("linnet-config-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: directory) }
  let file = directory.appendingPathComponent("node.conf")
  try Data(text.utf8).write(to: file)
  return try NodeConfiguration.load(path: file.path, flags: flags, context: context)
}

/// What is wrong with a configuration, as `LINE [section] key code: message`.
func problems(
  _ text: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:]
) throws -> [String] {
  do {
    _ = try load(text, environment: environment, flags: flags)
    return []
  } catch let error as ConfigurationError {
    return error.problems.map { problem in
      let place =
        switch problem.source {
        case .file(_, let line): line.map(String.init) ?? "?"
        case .environment(let name): name
        case .flag(let name): "--" + name
        case .fallback: "default"
        }
      return "\(place) [\(problem.section ?? "")] \(problem.key ?? "") \(problem.code.rawValue): \(problem.message)"
    }
  }
}
