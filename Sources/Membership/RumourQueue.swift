import Primitives
import Wire

/// What is to be told to others on the back of probe traffic, the least told first, the newest first among those.
struct RumourQueue: Sendable {
  /// The most rumours that wait; beyond it the most told and oldest is dropped.
  static let capacity = 1_024
  /// The most of them that are records of other nodes: whoever makes up records must not push out accusations, farewells and
  /// the own record.
  static let recordCapacity = 768

  /// What a rumour is about: a newer one about the same replaces it.
  struct Subject: Comparable, Sendable {
    /// Whose record or farewell, or who is accused.
    var about: NodeID
    /// Who accuses; equal to `about` for a record or a farewell.
    var by: NodeID

    static func < (left: Subject, right: Subject) -> Bool {
      left.about == right.about ? left.by < right.by : left.about < right.about
    }
  }

  private struct Turn: Comparable, Sendable {
    var told: Int
    var age: UInt64

    static func < (left: Turn, right: Turn) -> Bool {
      left.told == right.told ? left.age < right.age : left.told < right.told
    }
  }

  private struct Item: Sendable {
    var envelope: Envelope
    var turn: Turn
  }

  private var items = Table<Subject, Item>()
  private var turns = Table<Turn, Subject>()
  /// The turns of the records of other nodes.
  private var records = Table<Turn, Subject>()
  private var nextAge = UInt64.max

  var count: Int { items.count }

  /// Adds a rumour; true when another was dropped to make room.
  mutating func add(_ envelope: Envelope, subject: Subject, isRecordOfOther: Bool) -> Bool {
    remove(subject)
    var dropped = false
    let isFullOfRecords = isRecordOfOther && records.count >= RumourQueue.recordCapacity
    if isFullOfRecords || items.count >= RumourQueue.capacity,
      let last = isFullOfRecords ? records.last : turns.last
    {
      remove(last.value)
      dropped = true
    }
    // Ages count down, so that the newest comes first.
    nextAge &-= 1
    let turn = Turn(told: 0, age: nextAge)
    items[subject] = Item(envelope: envelope, turn: turn)
    turns[turn] = subject
    if isRecordOfOther { records[turn] = subject }
    return dropped
  }

  mutating func remove(_ subject: Subject) {
    guard let item = items.removeValue(forKey: subject) else { return }
    turns.removeValue(forKey: item.turn)
    records.removeValue(forKey: item.turn)
  }

  /// Removes every accusation of a node.
  mutating func removeAccusations(of accused: NodeID) {
    let lowest = Subject(about: accused, by: NodeID(Bytes32()))
    let doomed = items.entries(from: lowest).prefix { $0.key.about == accused }.filter { $0.key.by != accused }
    for entry in doomed { remove(entry.key) }
  }

  /// Takes up to `count` rumours of at most `bytes` in all for a receiver, who is not told of itself what it said.
  /// Each counts as told once more; one told `limit` times is done.
  mutating func take(count: Int, bytes: Int, receiver: NodeID, limit: Int) -> [Envelope] {
    guard count > 0, bytes > 0 else { return [] }
    var room = bytes
    var taken: [(turn: Turn, subject: Subject)] = []
    var envelopes: [Envelope] = []
    // Looking at a bounded number keeps a queue of unfitting rumours from costing more than it is worth.
    for (turn, subject) in turns.prefix(4 * Rumours.maximumCount) {
      guard envelopes.count < count else { break }
      guard let item = items[subject], item.envelope.author != receiver, item.envelope.encodedBytes <= room else {
        continue
      }
      room -= item.envelope.encodedBytes
      envelopes.append(item.envelope)
      taken.append((turn, subject))
    }
    for (turn, subject) in taken {
      turns.removeValue(forKey: turn)
      let isRecordOfOther = records.removeValue(forKey: turn) != nil
      let next = Turn(told: turn.told + 1, age: turn.age)
      guard next.told < limit else {
        items.removeValue(forKey: subject)
        continue
      }
      _ = items.modify(subject) { $0.turn = next }
      turns[next] = subject
      if isRecordOfOther { records[next] = subject }
    }
    return envelopes
  }
}

extension Envelope {
  /// The length of the encoding, without making it.
  var encodedBytes: Int {
    var prefix = 1
    var rest = payload.count >> 7
    while rest > 0 {
      prefix += 1
      rest >>= 7
    }
    return Envelope.overheadBytes + prefix + payload.count
  }
}
