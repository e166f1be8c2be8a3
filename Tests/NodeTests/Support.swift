import Config
import Foundation
import Logging
import Primitives
import Sodium
import Wire

@testable import Node

/// Swift Testing has one of its own.
typealias ExitStatus = Wire.ExitStatus

/// A directory that is gone after the test.
final class Scratch {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "linnet-node-tests-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func text(_ name: String) -> String? { try? String(contentsOfFile: path + "/" + name, encoding: .utf8) }

  func write(_ text: String, to name: String) throws {
    try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
  }
}

/// A logger that says nothing.
func silence() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

extension NodeError {
  static func code<Answer>(of body: () throws -> Answer) -> Code? {
    do {
      _ = try body()
      return nil
    } catch {
      return (error as? NodeError)?.code
    }
  }
}
