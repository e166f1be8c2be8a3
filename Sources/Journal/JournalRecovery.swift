// How an opened journal is read:
//
// 1. The content begins at the newest segment whose header has the base flag (a compaction's, or the first ever) and
//    goes on to the last segment. Older segments are what an interrupted compaction did not get to delete.
// 2. A record that does not check, in the last segment, with nothing after it that does, is a torn tail: it was never
//    synced, so nothing that depended on it was sent. It is cut off. (Bit rot in the very last record looks the same.)
// 3. Any other record that does not check, a header that does not, a segment that is not there, or a record that does
//    not continue the chain is damage: what comes before it is answered, and nothing is deleted.

/// Where and how a journal is damaged. Whoever votes from it must abstain: votes after this point are forgotten.
package struct JournalDamage: Equatable, Sendable, CustomStringConvertible {
  /// What is wrong there.
  package enum Kind: String, Sendable {
    /// A record does not check although valid data follows it.
    case badRecord
    /// A segment's header does not check.
    case badHeader
    /// A segment is not there although a later one is.
    case missingSegment
    /// A record or segment is sound but is not the one that was written after its predecessor.
    case brokenChain
  }

  /// What is wrong.
  package var kind: Kind
  /// The number of the segment.
  package var segment: UInt64
  /// Bytes from the start of the segment.
  package var offset: Int

  /// For a person.
  package var description: String {
    "\(kind.rawValue) at byte \(offset) of \(SegmentName.name(segment))"
  }
}

/// What was read from a journal when it was opened.
package struct RecoveredJournal: Equatable, Sendable {
  /// All records in the order of their appends; with damage, only those before it.
  package var records: [[UInt8]] = []
  /// Bytes of a torn tail that were cut off.
  package var truncatedBytes = 0
  /// Where the journal is damaged, if it is. It then takes no appends until `compact` has replaced its content.
  package var damage: JournalDamage?
  /// There was no journal before: the directory held no segment.
  package var isNew = false
}

/// What recovery hands to the writer.
struct RecoveredPosition {
  /// The newest segment number in use, readable or not.
  var lastSequence: UInt64 = 0
  /// All segments on disk that are part of the content.
  var segments: [UInt64] = []
  var chain: UInt32 = 0
  var salt: UInt64 = 0
  /// The bytes of the last segment that are sound.
  var segmentBytes = 0
}

struct JournalRecovery {
  let disk: any Disk
  let directory: String
  let networkID: [UInt8]

  func run() throws(JournalError) -> (RecoveredJournal, RecoveredPosition) {
    do {
      return try read()
    } catch let error as JournalError {
      throw error
    } catch let failure as DiskFailure {
      throw .disk("Reading the journal in \(directory)", failure)
    } catch {
      throw JournalError(.damaged, "Reading the journal in \(directory) failed: \(error)")
    }
  }

  private func read() throws -> (RecoveredJournal, RecoveredPosition) {
    var found: [UInt64] = []
    for name in try disk.list(directory) {
      if let sequence = SegmentName.sequence(name) {
        found.append(sequence)
      } else if name.hasSuffix(SegmentName.temporarySuffix) {
        try disk.remove(path(name))
      }
    }
    found.sort()
    var recovered = RecoveredJournal()
    guard let last = found.last else {
      recovered.isNew = true
      return (recovered, RecoveredPosition())
    }
    var position = RecoveredPosition(lastSequence: last, segments: found)

    // Rule 1, from the newest backwards, so that leftovers older than a base are never opened.
    var content: [(sequence: UInt64, header: SegmentHeader?)] = []
    for sequence in found.reversed() {
      let header = try header(of: sequence)
      content.insert((sequence, header), at: 0)
      if header?.isBase == true { break }
    }

    if content[0].header?.isBase != true {
      let kind: JournalDamage.Kind = content[0].header == nil ? .badHeader : .missingSegment
      let missing = kind == .badHeader ? content[0].sequence : content[0].sequence - 1
      recovered.damage = JournalDamage(kind: kind, segment: missing, offset: 0)
      return (recovered, position)
    }
    for index in content.indices {
      let (sequence, header) = content[index]
      if index > 0, sequence != content[index - 1].sequence + 1 {
        recovered.damage = JournalDamage(kind: .missingSegment, segment: content[index - 1].sequence + 1, offset: 0)
        return (recovered, position)
      }
      guard let header, header.sequence == sequence else {
        recovered.damage = JournalDamage(kind: .badHeader, segment: sequence, offset: 0)
        return (recovered, position)
      }
      if index > 0, header.isBase || header.previousChain != position.chain {
        recovered.damage = JournalDamage(kind: .brokenChain, segment: sequence, offset: 0)
        return (recovered, position)
      }
      position.chain = header.previousChain
      position.salt = header.salt
      let isLast = index == content.count - 1
      let bytes = try disk.readFile(path(SegmentName.name(sequence)))
      if let damage = scan(bytes, header, isLast: isLast, into: &recovered, &position) {
        recovered.damage = damage
        return (recovered, position)
      }
    }

    for sequence in found where sequence < content[0].sequence {
      try disk.remove(path(SegmentName.name(sequence)))
    }
    position.segments = content.map(\.sequence)
    return (recovered, position)
  }

  /// The header of a segment; nil where it does not check. A header of another network or format is an error of its
  /// own, found before anything is changed.
  private func header(of sequence: UInt64) throws -> SegmentHeader? {
    let file = try disk.open(path(SegmentName.name(sequence)))
    defer { disk.close(file) }
    let bytes = try disk.read(file, count: SegmentHeader.byteCount, at: 0)
    switch SegmentHeader.read(bytes) {
    case .header(let header):
      guard header.networkID == networkID else {
        throw JournalError.wrongNetwork(file.path)
      }
      return header
    case .otherVersion(let version):
      throw JournalError.unknownFormat(file.path, version)
    case .unreadable:
      return nil
    }
  }

  /// Reads the records of one segment; answers the damage that ends the reading, if any.
  private func scan(
    _ bytes: [UInt8], _ header: SegmentHeader, isLast: Bool,
    into recovered: inout RecoveredJournal, _ position: inout RecoveredPosition
  ) -> JournalDamage? {
    var offset = SegmentHeader.byteCount
    while offset < bytes.count {
      guard let record = RecordHeader(bytes, at: offset, salt: header.salt),
        let payload = payload(of: record, at: offset, in: bytes)
      else {
        if !isLast || holdsRecord(bytes, after: offset, salt: header.salt) {
          return JournalDamage(kind: .badRecord, segment: header.sequence, offset: offset)
        }
        recovered.truncatedBytes = bytes.count - offset
        break
      }
      guard record.follows(position.chain) else {
        return JournalDamage(kind: .brokenChain, segment: header.sequence, offset: offset)
      }
      position.chain = record.chain
      recovered.records.append(payload)
      offset += RecordHeader.byteCount + payload.count
    }
    position.segmentBytes = offset
    return nil
  }

  private func payload(of record: RecordHeader, at offset: Int, in bytes: [UInt8]) -> [UInt8]? {
    let start = offset + RecordHeader.byteCount
    let end = start + Int(record.length)
    guard end <= bytes.count else { return nil }
    let payload = Array(bytes[start..<end])
    return CRC32C.checksum(payload) == record.payloadChecksum ? payload : nil
  }

  /// Whether any whole record lies behind the bad one at `offset`. Where the bad one's header checks, its payload is
  /// skipped; else every byte is tried.
  private func holdsRecord(_ bytes: [UInt8], after offset: Int, salt: UInt64) -> Bool {
    var start = offset + 1
    if let bad = RecordHeader(bytes, at: offset, salt: salt) {
      start = offset + RecordHeader.byteCount + Int(bad.length)
    }
    while start + RecordHeader.byteCount <= bytes.count {
      if let record = RecordHeader(bytes, at: start, salt: salt), payload(of: record, at: start, in: bytes) != nil {
        return true
      }
      start += 1
    }
    return false
  }

  private func path(_ name: String) -> String { directory + "/" + name }
}
