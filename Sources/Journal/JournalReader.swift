import Glibc

// How a journal is read, by the daemon and by whoever inspects it; nothing is changed here:
//
// 1. The content begins at the segment that the newest readable header calls the first, and goes on to the last
//    segment. Older segments are what an interrupted compaction or pruning did not get to delete.
// 2. A record that does not check, in the last segment, with nothing after it that does, and behind what the mark calls
//    durable, is a torn tail: it was never synced, so nothing that depended on it was sent.
// 3. Any other record that does not check, a header that does not, a segment that is not there, a record that does not
//    continue the chain, or an end before the mark is damage: what comes before it is answered.

/// Where and how a journal is damaged. Whoever votes from it must abstain: votes after this point are forgotten.
package struct JournalDamage: Equatable, Sendable, CustomStringConvertible {
  /// What is wrong there.
  package enum Kind: String, Sendable {
    /// A record does not check although valid data follows it.
    case badRecord
    /// A segment's header does not check.
    case badHeader
    /// A segment is not there although it was never dropped.
    case missingSegment
    /// A record or segment is sound but is not the one that was written after its predecessor.
    case brokenChain
    /// The journal ends although what came next had been durable.
    case lostRecords
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

  /// What that is, in a sentence for a person.
  package var meaning: String {
    switch kind {
    case .badRecord: "a record does not match its checksum although sound data follows it: bytes were changed"
    case .badHeader: "the header of a segment does not match its checksum: bytes were changed"
    case .missingSegment: "a segment is missing that was never dropped"
    case .brokenChain: "a record or segment is sound but not the one that was written there: something was taken out"
    case .lostRecords: "the journal ends although what came next had been durable: it was cut, or its end was changed"
    }
  }
}

/// A segment as it was found.
package struct JournalSegment: Equatable, Sendable {
  /// Its number.
  package var sequence: UInt64
  /// Its name in the directory.
  package var name: String { SegmentName.name(sequence) }
  /// The epoch in which it was begun; 0 where the header does not check.
  package var epoch: UInt64
  /// The length of the file.
  package var bytes: Int
  /// Sound records in it.
  package var records = 0
  /// True for what is older than the content: an interrupted compaction or pruning did not get to delete it.
  package var isLeftover = false
}

/// A record and where it is.
package struct JournalEntry: Equatable, Sendable {
  /// The segment's number.
  package var segment: UInt64
  /// Bytes from the start of the segment to the record's own header.
  package var offset: Int
  /// What was appended.
  package var payload: [UInt8]
}

/// What reading a journal found, but for the records.
package struct JournalFindings: Equatable, Sendable {
  /// Nothing found yet.
  package init() {}

  /// All segments on the disk, ascending.
  package var segments: [JournalSegment] = []
  /// The 32 bytes of the network that the newest readable header names; nil without one.
  package var networkID: [UInt8]?
  /// Bytes of a torn tail, which never took effect.
  package var tornBytes = 0
  /// Where the torn tail begins in the last segment.
  package var tornOffset: Int?
  /// Where the journal is damaged, if it is.
  package var damage: JournalDamage?
  /// There is no segment and no trace of one.
  package var isNew = false
  /// Where the writer goes on.
  var position = RecoveredPosition()
}

/// Where the writer goes on.
struct RecoveredPosition: Equatable, Sendable {
  /// The newest segment number in use, readable or not.
  var lastSequence: UInt64 = 0
  /// All segments on disk that are part of the content, with their epochs and lengths; with damage all there are.
  var segments: [(sequence: UInt64, epoch: UInt64, bytes: Int)] = []
  var epoch: UInt64 = 0
  var chain: UInt32 = 0
  var salt: UInt64 = 0
  /// The bytes of the last segment that are sound.
  var segmentBytes = 0

  static func == (left: RecoveredPosition, right: RecoveredPosition) -> Bool {
    left.lastSequence == right.lastSequence && left.segments.elementsEqual(right.segments, by: ==)
      && left.epoch == right.epoch && left.chain == right.chain && left.salt == right.salt
      && left.segmentBytes == right.segmentBytes
  }
}

/// Reads a journal without changing it.
package struct JournalReader {
  let disk: any Disk
  let directory: String
  /// The network that the segments must be of; nil takes any.
  let networkID: [UInt8]?

  /// A reader of the journal in `directory`, which need not be whole and may be in use.
  package init(directory: String, networkID: [UInt8]? = nil, disk: any Disk = SystemDisk()) {
    self.directory = directory
    self.networkID = networkID
    self.disk = disk
  }

  /// Hands all records to `visit` in the order of their appends; with damage, only those before it.
  ///
  /// - Throws: `.disk` where the disk refuses, `.wrongNetwork`, `.unknownFormat`.
  package func read(_ visit: (JournalEntry) -> Void) throws(JournalError) -> JournalFindings {
    let outcome: Result<JournalFindings, JournalError>
    do throws(DiskFailure) {
      outcome = try findings(visit)
    } catch {
      throw .disk("Reading the journal in \(directory)", error)
    }
    return try outcome.get()
  }

  private typealias Found = (sequence: UInt64, header: SegmentHeader?)

  private func findings(
    _ visit: (JournalEntry) -> Void
  ) throws(DiskFailure) -> Result<JournalFindings, JournalError> {
    // Ahead of the segments: those of a journal in use may grow meanwhile, and must not seem to lag behind the mark.
    let mark = try mark()
    let names = try disk.list(directory)
    var all: [Found] = []
    var findings = JournalFindings()
    for sequence in names.compactMap(SegmentName.sequence).sorted() {
      let reading = try header(of: sequence)
      switch reading.header {
      case .success(let header): all.append((sequence, header))
      case .failure(let error): return .failure(error)
      }
      findings.segments.append(
        JournalSegment(sequence: sequence, epoch: all.last?.header?.epoch ?? 0, bytes: reading.bytes))
    }
    findings.networkID = all.last { $0.header != nil }?.header?.networkID
    findings.position.lastSequence = max(all.last?.sequence ?? 0, mark?.sequence ?? 0)
    guard let last = all.last else {
      if let mark {
        findings.damage = JournalDamage(kind: .missingSegment, segment: mark.sequence, offset: 0)
      } else {
        findings.isNew = true
      }
      return .success(findings)
    }
    findings.position.segments = findings.segments.map { ($0.sequence, $0.epoch, $0.bytes) }
    findings.position.epoch = all.compactMap { $0.header?.epoch }.max() ?? 0
    guard let first = all.last(where: { $0.header != nil })?.header?.first else {
      findings.damage = JournalDamage(kind: .badHeader, segment: all[0].sequence, offset: 0)
      return .success(findings)
    }
    for index in findings.segments.indices { findings.segments[index].isLeftover = all[index].sequence < first }
    findings.damage = try read(all.filter { $0.sequence >= first }, from: first, visit, into: &findings)
    if findings.damage == nil {
      findings.position.segments.removeAll { $0.sequence < first }
      let end = DurableMark(sequence: last.sequence, bytes: findings.position.segmentBytes)
      if let mark, end < mark {
        findings.damage =
          last.sequence < mark.sequence
          ? JournalDamage(kind: .missingSegment, segment: last.sequence + 1, offset: 0)
          : JournalDamage(kind: .lostRecords, segment: last.sequence, offset: findings.position.segmentBytes)
        findings.tornBytes = 0
        findings.tornOffset = nil
      }
    }
    return .success(findings)
  }

  private func mark() throws(DiskFailure) -> DurableMark? {
    do throws(DiskFailure) {
      return DurableMark(try disk.readFile(path(DurableMark.fileName)))
    } catch {
      if error.errorNumber == ENOENT { return nil }
      throw error
    }
  }

  /// Reads the segments of the content; answers the damage that ends the reading, if any.
  private func read(
    _ content: [Found], from first: UInt64, _ visit: (JournalEntry) -> Void, into findings: inout JournalFindings
  ) throws(DiskFailure) -> JournalDamage? {
    var expected = first
    for (sequence, header) in content {
      guard sequence == expected else { return JournalDamage(kind: .missingSegment, segment: expected, offset: 0) }
      guard let header else { return JournalDamage(kind: .badHeader, segment: sequence, offset: 0) }
      if sequence > first, header.previousChain != findings.position.chain {
        return JournalDamage(kind: .brokenChain, segment: sequence, offset: 0)
      }
      findings.position.chain = header.previousChain
      findings.position.salt = header.salt
      let bytes = try disk.readFile(path(SegmentName.name(sequence)))
      let isLast = sequence == content.last?.sequence
      if let damage = scan(bytes, header, isLast: isLast, visit, into: &findings) { return damage }
      expected += 1
    }
    return nil
  }

  /// The header of a segment, nil where it does not check, and the length of the file. A header of another network or
  /// format is an error of its own.
  private func header(
    of sequence: UInt64
  ) throws(DiskFailure) -> (header: Result<SegmentHeader?, JournalError>, bytes: Int) {
    let file = try disk.openForReading(path(SegmentName.name(sequence)))
    defer { disk.close(file) }
    let size = try disk.size(file)
    switch SegmentHeader.read(try disk.read(file, count: SegmentHeader.byteCount, at: 0)) {
    case .header(let header):
      guard networkID == nil || header.networkID == networkID else {
        return (.failure(.wrongNetwork(file.path)), size)
      }
      return (.success(header.sequence == sequence && header.first <= sequence ? header : nil), size)
    case .otherVersion(let version):
      return (.failure(.unknownFormat(file.path, version)), size)
    case .unreadable:
      return (.success(nil), size)
    }
  }

  /// Reads the records of one segment; answers the damage that ends the reading, if any.
  private func scan(
    _ bytes: [UInt8], _ header: SegmentHeader, isLast: Bool, _ visit: (JournalEntry) -> Void,
    into findings: inout JournalFindings
  ) -> JournalDamage? {
    var offset = SegmentHeader.byteCount
    let index = findings.segments.firstIndex { $0.sequence == header.sequence }
    while offset < bytes.count {
      guard let record = RecordHeader(bytes, at: offset, salt: header.salt),
        let payload = payload(of: record, at: offset, in: bytes)
      else {
        if !isLast || holdsRecord(bytes, after: offset, salt: header.salt) {
          return JournalDamage(kind: .badRecord, segment: header.sequence, offset: offset)
        }
        findings.tornBytes = bytes.count - offset
        findings.tornOffset = offset
        break
      }
      guard record.follows(findings.position.chain) else {
        return JournalDamage(kind: .brokenChain, segment: header.sequence, offset: offset)
      }
      findings.position.chain = record.chain
      if let index { findings.segments[index].records += 1 }
      visit(JournalEntry(segment: header.sequence, offset: offset, payload: payload))
      offset += RecordHeader.byteCount + payload.count
    }
    findings.position.segmentBytes = offset
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
