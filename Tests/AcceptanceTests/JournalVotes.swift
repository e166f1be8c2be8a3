import Foundation

/// The votes in journals, read by this test's own reading of their format (Sources/Journal/SegmentFormat.swift,
/// docs/wire-format.md), whoever's they are and however they came there: own votes, and those that certificates hold.
///
/// Journals are pruned and written anew in time, so a test reads them again and again and keeps all that it saw.
struct JournalVotes {
  /// A validator's turn to vote.
  struct Turn: Hashable {
    var epoch: UInt64
    var view: UInt64
    /// The voter's number in the epoch's validators.
    var voter: Int
  }

  /// What one voter said in one view.
  struct Said: Equatable {
    var notarized: Set<[UInt8]> = []
    var finalized: Set<[UInt8]> = []
    var isNullified = false

    /// Rule 3, 4 and 5 of consensus: one block a view, and never both nullify and finalize.
    var isContradiction: Bool {
      notarized.count > 1 || finalized.count > 1 || (isNullified && !finalized.isEmpty)
    }
  }

  private(set) var turns: [Turn: Said] = [:]
  /// How many votes were read, each as often as it was found.
  private(set) var count = 0
  /// How many own votes were read.
  private(set) var ownCount = 0

  /// The turns in which a validator contradicted itself.
  var contradictions: [(Turn, Said)] { turns.filter { $0.value.isContradiction }.map { ($0.key, $0.value) } }

  /// Reads every segment in a directory. What does not check is the end of a segment: this looks for votes, not for
  /// damage. Returns how many own votes there were.
  @discardableResult
  mutating func read(directory: String) -> Int {
    let before = ownCount
    for name in (try? FileManager.default.contentsOfDirectory(atPath: directory))?.sorted() ?? []
    where name.hasSuffix(".journal") {
      guard let data = FileManager.default.contents(atPath: "\(directory)/\(name)") else { continue }
      read(segment: [UInt8](data))
    }
    return ownCount - before
  }

  private static let headerBytes = 88
  private static let recordHeaderBytes = 16

  private mutating func read(segment bytes: [UInt8]) {
    var offset = JournalVotes.headerBytes
    while offset + JournalVotes.recordHeaderBytes <= bytes.count {
      let length = (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << ($1 * 8) }
      let start = offset + JournalVotes.recordHeaderBytes
      guard length > 0, start + length <= bytes.count else { return }
      var reader = Reader(bytes: bytes, position: start, end: start + length)
      // Blocks, by far the most bytes, are passed over.
      switch reader.byte() {
      case 1: ownVote(&reader)
      case 2: certificate(&reader)
      default: break
      }
      offset = start + length
    }
  }

  private mutating func ownVote(_ reader: inout Reader) {
    guard let subject = reader.subject(), let low = reader.byte(), let high = reader.byte() else { return }
    add(subject, voter: Int(low) | Int(high) << 8)
    ownCount += 1
  }

  private mutating func certificate(_ reader: inout Reader) {
    guard let subject = reader.subject(), let length = reader.varint() else { return }
    for index in 0..<Int(min(length, 1_024)) {
      guard let byte = reader.byte() else { return }
      for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 { add(subject, voter: index * 8 + bit) }
    }
  }

  private mutating func add(_ subject: Reader.Subject, voter: Int) {
    count += 1
    var said = turns[Turn(epoch: subject.epoch, view: subject.view, voter: voter)] ?? Said()
    switch subject.kind {
    case 1: said.notarized.insert(subject.block)
    case 2: said.isNullified = true
    default: said.finalized.insert(subject.block)
    }
    turns[Turn(epoch: subject.epoch, view: subject.view, voter: voter)] = said
  }

  /// Reads the wire's integers; nil at the end.
  private struct Reader {
    struct Subject {
      var kind: UInt8
      var epoch: UInt64
      var view: UInt64
      var block: [UInt8]
    }

    let bytes: [UInt8]
    var position: Int
    let end: Int

    mutating func byte() -> UInt8? {
      guard position < end else { return nil }
      defer { position += 1 }
      return bytes[position]
    }

    /// LEB128.
    mutating func varint() -> UInt64? {
      var value: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 64, by: 7) {
        guard let next = byte() else { return nil }
        value |= UInt64(next & 0x7f) << shift
        if next & 0x80 == 0 { return value }
      }
      return nil
    }

    mutating func subject() -> Subject? {
      guard let kind = byte(), (1...3).contains(kind), let epoch = varint(), let view = varint() else { return nil }
      if kind == 2 { return Subject(kind: kind, epoch: epoch, view: view, block: []) }
      guard varint() != nil, position + 32 <= end else { return nil }
      defer { position += 32 }
      return Subject(kind: kind, epoch: epoch, view: view, block: Array(bytes[position..<position + 32]))
    }
  }
}
