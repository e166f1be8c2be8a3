/// What was read from a journal when it was opened.
package struct RecoveredJournal: Equatable, Sendable {
  /// All records in the order of their appends; with damage, only those before it.
  package var records: [[UInt8]] = []
  /// Bytes of a torn tail that were cut off.
  package var truncatedBytes = 0
  /// Where the journal is damaged, if it is. It then takes no appends until `compact` has replaced its content.
  package var damage: JournalDamage?
  /// There was no journal before: the directory held no segment and no trace of one.
  package var isNew = false
  /// The epoch of the newest segment.
  package var epoch: UInt64 = 0
  /// The epoch in which the content begins: what was appended in earlier ones was dropped, or there was nothing.
  package var contentEpoch: UInt64 = 0
}

/// Reads a journal and deletes what an interrupted compaction or pruning left; with damage nothing is deleted.
struct JournalRecovery {
  let disk: any Disk
  let directory: String
  let networkID: [UInt8]

  func run() throws(JournalError) -> (RecoveredJournal, RecoveredPosition) {
    var recovered = RecoveredJournal()
    let findings = try JournalReader(directory: directory, networkID: networkID, disk: disk).read {
      recovered.records.append($0.payload)
    }
    recovered.truncatedBytes = findings.tornBytes
    recovered.damage = findings.damage
    recovered.isNew = findings.isNew
    recovered.epoch = findings.position.epoch
    recovered.contentEpoch = findings.segments.first { !$0.isLeftover }?.epoch ?? 0
    do throws(DiskFailure) {
      for name in try disk.list(directory) where name.hasSuffix(SegmentName.temporarySuffix) {
        try disk.remove(directory + "/" + name)
      }
      if findings.damage == nil {
        for segment in findings.segments where segment.isLeftover {
          try disk.remove(directory + "/" + SegmentName.name(segment.sequence))
        }
      }
    } catch {
      throw .disk("Tidying the journal in \(directory)", error)
    }
    return (recovered, findings.position)
  }
}
