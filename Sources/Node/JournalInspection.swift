import Consensus
import Foundation
import Journal
import Primitives
import Wire

/// What a journal on the disk holds, for people and for programs: read offline, without a lock and without changing
/// anything, also while a daemon runs on it.
package struct JournalInspection: Encodable, Sendable {
  /// A segment file.
  package struct Segment: Encodable, Sendable {
    /// Its name in the directory.
    package var name: String
    /// Its number.
    package var sequence: UInt64
    /// The epoch in which it was begun.
    package var epoch: UInt64
    /// Its length.
    package var bytes: Int
    /// Sound records in it that are part of the content.
    package var records: Int
    /// True when it is no part of the content any more, only not deleted yet.
    package var isLeftover: Bool
  }

  /// A record. Which fields are there depends on `kind`.
  package struct Record: Encodable, Sendable {
    /// `ownVote`, `certificate`, `certified`, or `unreadable`.
    package var kind: String
    /// The segment's number.
    package var segment: UInt64
    /// Bytes from the segment's beginning.
    package var offset: Int
    /// The epoch it is of.
    package var epoch: UInt64?
    /// The view it is of.
    package var view: UInt64?
    /// `notarize`, `nullify` or `finalize`, for votes and certificates.
    package var vote: String?
    /// The block's id; none for a nullify.
    package var block: String?
    /// The view of the block's parent; none for a nullify.
    package var parentView: UInt64?
    /// The number of the voter, for own votes.
    package var voter: UInt16?
    /// The numbers of those who signed, for certificates.
    package var signers: [UInt16]?
    /// The block's height, for certified blocks.
    package var height: UInt64?
    /// How many transactions the block has, for certified blocks.
    package var transactions: Int?
  }

  /// What is wrong with the files, and what a daemon does about it.
  package struct Damage: Encodable, Sendable {
    /// The name of the kind.
    package var kind: String
    /// The segment's number.
    package var segment: UInt64
    /// Bytes from the segment's beginning.
    package var offset: Int
    /// What that is.
    package var meaning: String
    /// What a daemon that is started does about it.
    package var consequence: String
  }

  /// Two own votes that no honest node signs both.
  package struct Conflict: Encodable, Sendable {
    /// The epoch.
    package var epoch: UInt64
    /// The view.
    package var view: UInt64
    /// What they are, for a person.
    package var text: String
  }

  /// How many there are of each.
  package struct Counts: Encodable, Sendable {
    package var ownVotes = 0
    package var certificates = 0
    package var certifiedBlocks = 0
    package var unreadable = 0
  }

  /// The directory that holds the segments.
  package var directory: String
  /// The network that the segments are of.
  package var networkId: String?
  /// The segments, ascending.
  package var segments: [Segment]
  /// The records in order; with damage, those before it.
  package var records: [Record] = []
  /// How many there are of each kind.
  package var counts = Counts()
  /// Bytes at the end that were not written whole; a daemon cuts them off, since nothing that depended on them was
  /// sent. While a daemon runs: what it is writing.
  package var tornBytes: Int
  /// Where they begin in the last segment.
  package var tornOffset: Int?
  /// The damage, if there is any.
  package var damage: Damage?
  /// True when there is no trace of a journal.
  package var isMissing: Bool
  /// True when a marker says that the key has never voted; nil where no directory above holds a key.
  package var neverVoted: Bool?
  /// Why the node must not vote; nil when it may.
  package var abstains: String?
  /// The node may vote in epochs whose boundary block has a later timestamp, in milliseconds since 1970.
  package var abstainUntilMilliseconds: UInt64?
  /// Own votes that contradict each other. There must never be any.
  package var conflicts: [Conflict] = []

  /// Inspects the journal of a data directory, or of the directory that `journal.directory` names, or a directory of
  /// segments.
  package static func inspect(_ path: String) throws(NodeError) -> JournalInspection {
    guard let directory = segmentDirectory(path) else {
      throw NodeError(
        .storage, "there is no journal in \(path)",
        suggestion: "name a node's data directory, or the directory that journal.directory of node.conf names")
    }
    var failure: (any Error)?
    // A daemon that runs may drop a segment between the listing and the reading: then it is read anew.
    for _ in 0..<5 {
      do { return try read(directory) } catch {
        failure = error
        guard error.cause?.errorNumber == ENOENT else { break }
      }
    }
    throw NodeError(
      .storage, "the journal in \(directory) can't be read",
      suggestion: "run this as the user that owns it, or as root", cause: failure)
  }

  /// Where the segments of a directory named by a person are; nil when there are none.
  private static func segmentDirectory(_ path: String) -> String? {
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    for candidate in [path + "/journal/journal", path + "/journal", path] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: candidate)) ?? []
      if names.contains(where: { $0.hasSuffix(".journal") || $0 == "durable" }) { return candidate }
    }
    // A journal that was lost leaves the directory, or the marker beside it.
    for candidate in [path + "/journal/journal", path + "/journal"] {
      var isDirectory = ObjCBool(false)
      let isThere = FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory)
      if isThere, isDirectory.boolValue { return candidate }
    }
    return FileManager.default.fileExists(atPath: path + "/abstain") ? path + "/journal" : nil
  }

  private static func read(_ directory: String) throws(JournalError) -> JournalInspection {
    var records: [Record] = []
    var votes: [Vote] = []
    var findings = JournalFindings()
    if FileManager.default.fileExists(atPath: directory) {
      findings = try JournalReader(directory: directory).read { entry in
        let record = try? ConsensusRecord(decoding: entry.payload)
        if case .ownVote(let vote) = record { votes.append(vote) }
        records.append(Record(entry, record))
      }
    }
    var inspection = JournalInspection(directory, findings)
    for record in records { inspection.counts.add(record) }
    inspection.records = records
    inspection.conflicts = conflicts(among: votes)
    return inspection
  }

  private init(_ directory: String, _ findings: JournalFindings) {
    self.directory = directory
    networkId = findings.networkID.flatMap { Digest(bytes: $0) }?.description
    segments = findings.segments.map {
      Segment(
        name: $0.name, sequence: $0.sequence, epoch: $0.epoch, bytes: $0.bytes, records: $0.records,
        isLeftover: $0.isLeftover)
    }
    tornBytes = findings.tornBytes
    tornOffset = findings.tornOffset
    isMissing = findings.segments.isEmpty
    damage = findings.damage.map {
      Damage(
        kind: $0.kind.rawValue, segment: $0.segment, offset: $0.offset, meaning: $0.meaning,
        consequence: "votes behind it may be forgotten: a daemon keeps what is before it, and the node follows the "
          + "chain without a vote until an epoch begins after the moment in which it was found")
    }
    let above = (directory as NSString).deletingLastPathComponent
    let abstention = AbstentionMarker(directory: above).abstention
    abstains = abstention?.reason
    abstainUntilMilliseconds = abstention?.untilMilliseconds
    neverVoted = JournalInspection.neverVoted(from: above)
  }

  /// Looks for a key with or without its marker in a directory and the one above it.
  private static func neverVoted(from directory: String) -> Bool? {
    for place in [directory, (directory as NSString).deletingLastPathComponent] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
      if names.contains(where: { $0.hasSuffix(".never-voted") }) { return true }
      if names.contains(where: { $0.hasSuffix(".key") }) { return false }
    }
    return nil
  }

  /// The pairs of own votes of one view that no honest node signs both: two blocks notarized, two finalized, or a
  /// nullify beside a finalize.
  static func conflicts(among votes: [Vote]) -> [Conflict] {
    var conflicts: [Conflict] = []
    let sorted = Set(votes.map(\.subject)).sorted()
    var start = 0
    while start < sorted.count {
      let (epoch, view) = (sorted[start].epoch, sorted[start].view)
      let end = sorted[start...].firstIndex { $0.epoch != epoch || $0.view != view } ?? sorted.count
      let group = sorted[start..<end]
      for (first, second) in zip(group, group.dropFirst()) where first.kind == second.kind {
        conflicts.append(
          Conflict(
            epoch: epoch, view: view,
            text: "two \(first.kind.name) votes, for block \(first.blockID.short) and block \(second.blockID.short)"))
      }
      if group.contains(where: { $0.kind == .nullify }), let finalize = group.first(where: { $0.kind == .finalize }) {
        conflicts.append(
          Conflict(
            epoch: epoch, view: view, text: "a nullify vote and a finalize vote for block \(finalize.blockID.short)"))
      }
      start = end
    }
    return conflicts
  }
}

extension JournalInspection.Counts {
  fileprivate mutating func add(_ record: JournalInspection.Record) {
    switch record.kind {
    case "ownVote": ownVotes += 1
    case "certificate": certificates += 1
    case "certified": certifiedBlocks += 1
    default: unreadable += 1
    }
  }
}

extension JournalInspection.Record {
  fileprivate init(_ entry: JournalEntry, _ record: ConsensusRecord?) {
    segment = entry.segment
    offset = entry.offset
    switch record {
    case .ownVote(let vote):
      kind = "ownVote"
      describe(vote.subject)
      voter = vote.voter
    case .certificate(let certificate):
      kind = "certificate"
      describe(certificate.subject)
      signers = certificate.signers
    case .certified(let certified):
      kind = "certified"
      let header = certified.header
      (epoch, view, parentView, height) = (header.epoch, header.view, header.parentView, header.height)
      block = certified.id.description
      transactions = certified.transactions.count
    case nil: kind = "unreadable"
    }
  }

  private mutating func describe(_ subject: VoteSubject) {
    (epoch, view, vote) = (subject.epoch, subject.view, subject.kind.name)
    guard subject.kind != .nullify else { return }
    (block, parentView) = (subject.blockID.description, subject.parentView)
  }
}
