import Core
import Foundation
import Primitives
import Testing
import Wire

@testable import Node

@Suite struct OutcomeStoreTests {
  private static func outcome(_ number: UInt8, message: String = "said\u{e9}") -> LeaseOutcome {
    LeaseOutcome(
      lease: Digest(hashing: [number]), outputRoot: Digest(hashing: [number, 1]), exit: .exited(code: number),
      usage: Usage(wallMilliseconds: 7, cpuMicroseconds: .max, peakMemoryBytes: 9), message: message)
  }

  @Test func whatIsSavedIsLoaded() throws {
    let scratch = try Scratch()
    let store = try OutcomeStore(directory: scratch.path + "/o")
    let exits: [ExitStatus] = [
      .exited(code: 3), .signalled(signal: 9), .wallLimit, .memoryLimit, .diskLimit, .startFailed, .lost,
    ]
    for (number, exit) in exits.enumerated() {
      var outcome = Self.outcome(UInt8(number))
      outcome.exit = exit
      try store.save(outcome)
      #expect(store.load(outcome.lease) == outcome)
    }
    #expect(store.leases().count == exits.count)
    #expect(try OutcomeStore(directory: scratch.path + "/o").leases() == store.leases())
  }

  @Test func aTornOrForeignFileIsNone() throws {
    let scratch = try Scratch()
    let store = try OutcomeStore(directory: scratch.path)
    let outcome = Self.outcome(1)
    try store.save(outcome)
    let file = URL(fileURLWithPath: "\(scratch.path)/\(outcome.lease).outcome")
    let whole = try Data(contentsOf: file)
    for count in 0..<whole.count {
      try whole.prefix(count).write(to: file)
      #expect(store.load(outcome.lease) == nil)
    }
    try (whole + [0]).write(to: file)
    #expect(store.load(outcome.lease) == nil)
    // The outcome of another lease under this one's name.
    try whole.write(to: URL(fileURLWithPath: "\(scratch.path)/\(Self.outcome(2).lease).outcome"))
    #expect(store.load(Self.outcome(2).lease) == nil)
    try Data().write(to: URL(fileURLWithPath: "\(scratch.path)/nonsense.outcome"))
    #expect(store.leases().count == 2)
  }

  @Test func aSettledLeaseHasNoOutcomeButIsRemembered() throws {
    let scratch = try Scratch()
    let store = try OutcomeStore(directory: scratch.path)
    let outcome = Self.outcome(1)
    try store.save(outcome)
    store.keepGPUs(["/dev/nvidia0", "/dev/nvidia3"], of: outcome.lease)
    #expect(store.gpus(of: outcome.lease) == ["/dev/nvidia0", "/dev/nvidia3"])
    store.settle(outcome.lease)
    #expect(store.load(outcome.lease) == nil)
    #expect(store.isSettled(outcome.lease))
    #expect(store.settledLeases() == [outcome.lease])
    store.remove(outcome.lease)
    #expect(!store.isSettled(outcome.lease))
    #expect(store.gpus(of: outcome.lease).isEmpty)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
  }
}

@Suite struct SequenceMarkTests {
  @Test func theFloorIsNeverBelowWhatWasUsed() throws {
    let scratch = try Scratch()
    var mark = SequenceMark(directory: scratch.path)
    #expect(mark.floor == 0)
    var used: UInt64 = 1_000_000_000_000
    for step in [0, 1, 100_000_000, 299_000_000, 301_000_000, 5_000_000_000] as [UInt64] {
      used += step
      try mark.reserve(after: used)
      #expect(SequenceMark(directory: scratch.path).floor > used)
    }
    // A clock that was set back does not lower the mark.
    let before = SequenceMark(directory: scratch.path).floor
    try mark.reserve(after: 5)
    #expect(SequenceMark(directory: scratch.path).floor == before)
  }

  @Test func theEndOfTheNumbersIsNoTrap() throws {
    let scratch = try Scratch()
    try scratch.write("\(UInt64.max)\n", to: "sequence")
    var mark = SequenceMark(directory: scratch.path)
    #expect(mark.floor == .max)
    try mark.reserve(after: .max)
    try mark.reserve(after: .max - 1)
    #expect(SequenceMark(directory: scratch.path).floor == .max)
    try scratch.write("-3 and so on", to: "sequence")
    #expect(SequenceMark(directory: scratch.path).floor == 0)
  }

  @Test func aMarkThatCannotBeWrittenIsAnError() throws {
    var mark = SequenceMark(directory: "/proc/nowhere")
    #expect(throws: (any Error).self) { try mark.reserve(after: 1) }
  }
}

@Suite struct DataDirectoryTests {
  @Test func oneDaemonAtATime() throws {
    let scratch = try Scratch()
    var first: DataDirectory? = try DataDirectory(path: scratch.path + "/d")
    #expect(first != nil)
    var pauses = 0
    #expect(NodeError.code { try DataDirectory(path: scratch.path + "/d") { pauses += 1 } } == .alreadyRunning)
    #expect(pauses == 100)
    first = nil
    #expect(NodeError.code { try DataDirectory(path: scratch.path + "/d") { pauses += 1 } } == nil)
    #expect(pauses == 100, "what is free is taken at once")
  }

  @Test func oneThatIsEndingIsWaitedFor() throws {
    let scratch = try Scratch()
    var first: DataDirectory? = try DataDirectory(path: scratch.path + "/d")
    #expect(first != nil)
    var pauses = 0
    _ = try DataDirectory(path: scratch.path + "/d") {
      pauses += 1
      if pauses == 3 { first = nil }
    }
    #expect(pauses == 3)
  }

  @Test func oneNetworkForEver() throws {
    let scratch = try Scratch()
    let directory = try DataDirectory(path: scratch.path)
    let network = Digest(hashing: [1])
    try directory.bind(to: network)
    try directory.bind(to: network)
    #expect(NodeError.code { try directory.bind(to: Digest(hashing: [2])) } == .wrongNetwork)
    #expect(scratch.text("network") == "\(network)\n")
  }

  @Test func aFileInItsPlace() throws {
    let scratch = try Scratch()
    try scratch.write("", to: "file")
    #expect(NodeError.code { try DataDirectory(path: scratch.path + "/file/below") } == .dataDirectory)
  }
}

@Suite struct MarkerTests {
  @Test func aKeyThatHasNeverVoted() throws {
    let scratch = try Scratch()
    let marker = NeverVotedMarker(keyPath: scratch.path + "/node.key")
    #expect(!marker.exists)
    try marker.remove()
    try marker.write()
    #expect(NeverVotedMarker(keyPath: scratch.path + "/node.key").exists)
    try marker.remove()
    #expect(!marker.exists)
  }
}
