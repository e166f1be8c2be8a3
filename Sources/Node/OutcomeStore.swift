import Core
import Foundation
import Primitives
import Wire

/// Keeps the outcome of each lease in a file until the lease is settled: what was committed must be revealed, over
/// any restart.
struct OutcomeStore: Sendable {
  let directory: String

  /// Makes the directory.
  init(directory: String) throws {
    self.directory = directory
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  private func path(_ lease: Digest) -> String { "\(directory)/\(lease).outcome" }

  /// Writes an outcome; it is on the disk when this returns.
  func save(_ outcome: LeaseOutcome) throws {
    var writer = WireWriter()
    writer.digest(outcome.lease)
    writer.digest(outcome.outputRoot)
    writer.value(outcome.exit)
    writer.value(outcome.usage)
    writer.string(outcome.message)
    let file = path(outcome.lease)
    try Data(writer.bytes).write(to: URL(fileURLWithPath: file), options: .atomic)
  }

  /// Reads an outcome; nil when there is none or it is not whole.
  func load(_ lease: Digest) -> LeaseOutcome? {
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: path(lease))) else { return nil }
    var reader = WireReader(Array(data))
    func parse() throws(WireError) -> LeaseOutcome {
      let outcome = LeaseOutcome(
        lease: try reader.digest(), outputRoot: try reader.digest(), exit: try reader.value(),
        usage: try reader.value(),
        message: try reader.string(limit: LeaseResult.maximumMessageBytes, what: "result message"))
      try reader.finish()
      return outcome
    }
    guard let outcome = try? parse(), outcome.lease == lease else { return nil }
    return outcome
  }

  /// Removes an outcome.
  func remove(_ lease: Digest) { try? FileManager.default.removeItem(atPath: path(lease)) }

  /// The leases that have an outcome.
  func leases() -> [Digest] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(".outcome") }.compactMap { Digest(hex: $0.dropLast(".outcome".count)) }.sorted()
  }
}
