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
    try DurableFile.write(writer.bytes, to: path(outcome.lease))
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

  /// The lease is over: its outcome goes, and a mark stays, so that the record of its job is not taken for news after
  /// a restart.
  func settle(_ lease: Digest) {
    _ = FileManager.default.createFile(atPath: settledPath(lease), contents: nil)
    try? FileManager.default.removeItem(atPath: path(lease))
  }

  /// True between `settle` and `remove`.
  func isSettled(_ lease: Digest) -> Bool { FileManager.default.fileExists(atPath: settledPath(lease)) }

  /// Removes all that is kept for a lease.
  func remove(_ lease: Digest) {
    for file in [path(lease), settledPath(lease)] { try? FileManager.default.removeItem(atPath: file) }
    keepGPUs([], of: lease)
  }

  /// The leases that have an outcome.
  func leases() -> [Digest] { leases(with: ".outcome") }

  /// The leases that are settled.
  func settledLeases() -> [Digest] { leases(with: ".settled") }

  /// Keeps which GPUs a lease's job has, so that no other gets them after a restart while it runs on.
  func keepGPUs(_ gpus: [String], of lease: Digest) {
    let file = "\(directory)/\(lease).gpus"
    if gpus.isEmpty {
      try? FileManager.default.removeItem(atPath: file)
    } else {
      try? DurableFile.write(Array(gpus.joined(separator: "\n").utf8), to: file)
    }
  }

  /// The GPUs that a lease's job was given.
  func gpus(of lease: Digest) -> [String] {
    let text = (try? String(contentsOfFile: "\(directory)/\(lease).gpus", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map(String.init)
  }

  private func settledPath(_ lease: Digest) -> String { "\(directory)/\(lease).settled" }

  private func leases(with suffix: String) -> [Digest] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(suffix) }.compactMap { Digest(hex: $0.dropLast(suffix.count)) }.sorted()
  }
}
