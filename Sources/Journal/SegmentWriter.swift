/// The writing end of a journal's segments; only the journal's thread has it.
struct SegmentWriter {
  /// Records are gathered into writes of about this many bytes.
  private static let writeBytes = 1 << 20

  private let disk: any Disk
  private let directory: String
  private let networkID: [UInt8]
  private let segmentLimit: Int
  private var segments: [UInt64]
  private var file: DiskFile?
  private var lastSequence: UInt64
  private var chain: UInt32
  private var salt: UInt64
  private var segmentBytes: Int
  private var hasUnsynced = false

  /// Bytes of the segment in writing, its header included.
  var bytesInSegment: Int { segmentBytes }
  /// How many segments are on disk.
  var segmentCount: Int { segments.count }

  init(disk: any Disk, directory: String, networkID: [UInt8], segmentLimit: Int, at position: RecoveredPosition) {
    self.disk = disk
    self.directory = directory
    self.networkID = networkID
    self.segmentLimit = segmentLimit
    segments = position.segments
    lastSequence = position.lastSequence
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
  }

  /// Begins the first segment of a new journal.
  mutating func begin() throws(DiskFailure) {
    try startSegment(isBase: true, records: [])
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
        try startSegment(isBase: false, records: [])
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
    return true
  }

  /// Makes `records` the whole content. The rename of the new base segment is the moment at which the content changes;
  /// the older segments are then deleted, and a crash in between leaves some of them for recovery to delete.
  mutating func replace(with records: [[UInt8]]) throws(DiskFailure) {
    let old = segments
    try startSegment(isBase: true, records: records)
    for sequence in old { try disk.remove(path(SegmentName.name(sequence))) }
    segments = [lastSequence]
    try disk.synchronizeDirectory(directory)
  }

  func close() {
    if let file { disk.close(file) }
  }

  /// A segment gets its name only when its header and first records are durable.
  private mutating func startSegment(isBase: Bool, records: [[UInt8]]) throws(DiskFailure) {
    let sequence = lastSequence + 1
    let name = path(SegmentName.name(sequence))
    let temporaryName = path(SegmentName.temporaryName(sequence))
    let header = SegmentHeader(
      isBase: isBase, sequence: sequence, networkID: networkID, previousChain: chain,
      salt: UInt64.random(in: .min ... .max))
    let next = try disk.create(temporaryName)
    if let file { disk.close(file) }
    file = next
    salt = header.salt
    segmentBytes = 0
    var buffer = header.encoded()
    for record in records {
      encode(record, into: &buffer)
      if buffer.count >= SegmentWriter.writeBytes { try flush(&buffer) }
    }
    try flush(&buffer)
    try synchronize()
    try disk.rename(temporaryName, to: name)
    try disk.synchronizeDirectory(directory)
    file?.path = name
    lastSequence = sequence
    segments.append(sequence)
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
