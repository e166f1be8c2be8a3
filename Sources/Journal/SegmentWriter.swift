/// The writing end of a journal's segments; only the journal's thread has it.
struct SegmentWriter {
  /// Records are gathered into writes of about this many bytes.
  private static let writeBytes = 1 << 20

  private let disk: any Disk
  private let directory: String
  private let networkID: [UInt8]
  private let segmentLimit: Int
  /// Those on disk; the length of the last, which is in writing, is `segmentBytes`.
  private var segments: [(sequence: UInt64, epoch: UInt64, bytes: Int)]
  /// The segment that begins with the last checkpoint, and where that ends in it; nil when it is not on disk.
  private var checkpoint: (sequence: UInt64, bytes: Int)?
  private var file: DiskFile?
  private var markFile: DiskFile?
  private var lastSequence: UInt64
  private(set) var epoch: UInt64
  private var chain: UInt32
  private var salt: UInt64
  private var segmentBytes: Int
  private var hasUnsynced = false

  /// Bytes of the segment in writing, its header included.
  var bytesInSegment: Int { segmentBytes }
  /// How many segments are on disk.
  var segmentCount: Int { segments.count }
  /// Bytes on disk besides the last checkpoint.
  var grownBytes: Int {
    segments.dropLast().reduce(segmentBytes) { $0 + $1.bytes } - (checkpoint?.bytes ?? 0)
  }

  init(disk: any Disk, directory: String, networkID: [UInt8], segmentLimit: Int, at position: RecoveredPosition) {
    self.disk = disk
    self.directory = directory
    self.networkID = networkID
    self.segmentLimit = segmentLimit
    segments = position.segments
    lastSequence = position.lastSequence
    epoch = position.epoch
    chain = position.chain
    salt = position.salt
    segmentBytes = position.segmentBytes
  }

  /// Opens the last segment where reading it ended, cuts its torn tail, and makes what was read durable: records that
  /// a killed process left in the page cache must not be lost after they were acted on.
  mutating func resume() throws(DiskFailure) {
    let file = try disk.open(path(SegmentName.name(lastSequence)))
    self.file = file
    try disk.truncate(file, to: segmentBytes)
    try disk.synchronize(file)
    try disk.synchronizeDirectory(directory)
    try markDurable(syncing: true)
  }

  /// Begins the first segment of a new journal.
  mutating func begin() throws(DiskFailure) {
    try startSegment(first: lastSequence + 1, records: [])
  }

  /// Writes records without syncing them, beginning new segments as they fill.
  mutating func append(_ records: [[UInt8]]) throws(DiskFailure) {
    var buffer: [UInt8] = []
    for record in records {
      let size = RecordHeader.byteCount + record.count
      let filled = segmentBytes + buffer.count
      if filled + size > segmentLimit, filled > SegmentHeader.byteCount {
        try flush(&buffer)
        // A record of the new segment is proof that the old one was whole.
        try synchronize()
        try startSegment(first: segments.first?.sequence ?? lastSequence + 1, records: [])
      }
      encode(record, into: &buffer)
      if buffer.count >= SegmentWriter.writeBytes { try flush(&buffer) }
    }
    try flush(&buffer)
  }

  /// Makes what was appended durable; answers whether there was anything.
  @discardableResult
  mutating func synchronize() throws(DiskFailure) -> Bool {
    guard hasUnsynced, let file else { return false }
    try disk.synchronize(file)
    hasUnsynced = false
    try markDurable(syncing: false)
    return true
  }

  /// Begins a segment of a later epoch; an epoch that has begun already changes nothing.
  mutating func begin(epoch: UInt64) throws(DiskFailure) {
    guard epoch > self.epoch else { return }
    try synchronize()
    self.epoch = epoch
    try startSegment(first: segments.first?.sequence ?? lastSequence + 1, records: [])
  }

  /// Drops the segments before the first one of `epoch` or later.
  mutating func prune(before epoch: UInt64) throws(DiskFailure) {
    guard let kept = segments.firstIndex(where: { $0.epoch >= epoch }) else { return }
    try drop(before: kept)
  }

  /// Writes records that take the place of all before them into a segment of their own, behind it.
  mutating func writeCheckpoint(_ records: [[UInt8]]) throws(DiskFailure) {
    try synchronize()
    try startSegment(first: segments.first?.sequence ?? lastSequence + 1, records: records)
    checkpoint = (lastSequence, segmentBytes)
  }

  /// Drops the segments before the last checkpoint.
  mutating func dropBeforeCheckpoint() throws(DiskFailure) {
    guard let checkpoint, let kept = segments.firstIndex(where: { $0.sequence == checkpoint.sequence }) else { return }
    try drop(before: kept)
  }

  /// Drops the segments before one. The rename of a new segment that names the first one kept is the moment at which
  /// the content changes.
  private mutating func drop(before kept: Int) throws(DiskFailure) {
    guard kept > 0 else { return }
    try synchronize()
    let dropped = segments[..<kept]
    try startSegment(first: segments[kept].sequence, records: [])
    try remove(dropped.map(\.sequence))
  }

  /// Makes `records` the whole content. The rename of the new segment is the moment at which the content changes;
  /// the older segments are then deleted, and a crash in between leaves some of them for recovery to delete.
  mutating func replace(with records: [[UInt8]]) throws(DiskFailure) {
    let old = segments.map(\.sequence)
    try startSegment(first: lastSequence + 1, records: records)
    try remove(old)
    checkpoint = (lastSequence, segmentBytes)
  }

  func close() {
    if let file { disk.close(file) }
    if let markFile { disk.close(markFile) }
  }

  private mutating func remove(_ sequences: [UInt64]) throws(DiskFailure) {
    for sequence in sequences { try disk.remove(path(SegmentName.name(sequence))) }
    segments.removeAll { sequences.contains($0.sequence) }
    if let checkpoint, sequences.contains(checkpoint.sequence) { self.checkpoint = nil }
    try disk.synchronizeDirectory(directory)
  }

  /// A segment gets its name only when its header and first records are durable.
  private mutating func startSegment(first: UInt64, records: [[UInt8]]) throws(DiskFailure) {
    let sequence = lastSequence + 1
    let name = path(SegmentName.name(sequence))
    let temporaryName = path(SegmentName.temporaryName(sequence))
    let header = SegmentHeader(
      sequence: sequence, epoch: epoch, first: first, networkID: networkID, previousChain: chain,
      salt: UInt64.random(in: .min ... .max))
    let next = try disk.create(temporaryName)
    if let file { disk.close(file) }
    if let last = segments.indices.last { segments[last].bytes = segmentBytes }
    file = next
    salt = header.salt
    segmentBytes = 0
    var buffer = header.encoded()
    for record in records {
      encode(record, into: &buffer)
      if buffer.count >= SegmentWriter.writeBytes { try flush(&buffer) }
    }
    try flush(&buffer)
    // Not `synchronize`: until the rename the mark must not name this segment.
    try disk.synchronize(next)
    hasUnsynced = false
    try disk.rename(temporaryName, to: name)
    try disk.synchronizeDirectory(directory)
    file?.path = name
    lastSequence = sequence
    segments.append((sequence, epoch, segmentBytes))
    try markDurable(syncing: true)
  }

  private mutating func markDurable(syncing: Bool) throws(DiskFailure) {
    let mark = DurableMark(sequence: lastSequence, bytes: segmentBytes).encoded()
    let name = path(DurableMark.fileName)
    let file: DiskFile
    if let markFile {
      file = markFile
    } else {
      file = try disk.list(directory).contains(DurableMark.fileName) ? disk.open(name) : disk.create(name)
      markFile = file
    }
    try disk.writeAll(file, mark, at: 0)
    if syncing { try disk.synchronize(file) }
  }

  private mutating func encode(_ record: [UInt8], into buffer: inout [UInt8]) {
    let header = RecordHeader(of: record, after: chain)
    chain = header.chain
    header.encode(salt: salt, into: &buffer)
    buffer += record
  }

  private mutating func flush(_ buffer: inout [UInt8]) throws(DiskFailure) {
    guard !buffer.isEmpty, let file else { return }
    try disk.writeAll(file, buffer, at: segmentBytes)
    segmentBytes += buffer.count
    hasUnsynced = true
    buffer.removeAll(keepingCapacity: true)
  }

  private func path(_ name: String) -> String { directory + "/" + name }
}
