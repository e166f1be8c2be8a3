import Config
import Foundation
import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
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

/// What a thread waits at until it is let through.
final class Door: Sendable {
  private let change = NSCondition()
  private let isOpen = Mutex(false)

  func open() { set(true) }
  func close() { set(false) }

  func pass() {
    change.lock()
    while !isOpen.withLock({ $0 }) { change.wait() }
    change.unlock()
  }

  private func set(_ value: Bool) {
    change.lock()
    isOpen.withLock { $0 = value }
    change.broadcast()
    change.unlock()
  }
}

private let gossipThreads = MultiThreadedEventLoopGroup(numberOfThreads: 2)

/// Up to two threads for gossip. A pipeline makes them yield their processor to every other for good: they are not those
/// that tests of links run on.
func background(_ count: Int) -> [any EventLoop] { Array(gossipThreads.makeIterator().prefix(count)) }

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
