// A file of chunks, each found by its 32-byte key, all integers little-endian; it is written once and then only read.
//
// Header, 16 bytes and the label: magic 8 ‖ version u32 ‖ length of the label u32 ‖ label ‖ CRC32C of all before u32
// Chunks, one after the other.
// Index, 48 bytes a chunk: key 32 ‖ offset u64 ‖ length u32 ‖ CRC32C of the chunk u32
// Footer, 24 bytes: offset of the index u64 ‖ number of chunks u32 ‖ CRC32C of the index u32 ‖ magic 8

/// Writes a file of chunks. Until `finish` it bears a temporary name.
package struct ChunkFileWriter {
  static let magic: [UInt8] = Array("LNTCHNK\0".utf8)
  static let version: UInt32 = 1
  static let entryBytes = 48
  static let footerBytes = 24
  /// What a temporary name ends with.
  package static let temporarySuffix = ".tmp"

  private let disk: any Disk
  private let path: String
  private let file: DiskFile
  private var end: Int
  private var index: [UInt8] = []
  private var count: UInt32 = 0

  /// Begins a file at `path`, with a label of at most 16 MiB that says what it is of.
  package init(path: String, label: [UInt8], disk: any Disk = SystemDisk()) throws(JournalError) {
    self.disk = disk
    self.path = path
    var header = ChunkFileWriter.magic
    header.append(littleEndian: ChunkFileWriter.version)
    header.append(littleEndian: UInt32(label.count))
    header += label
    header.append(littleEndian: CRC32C.checksum(header))
    end = header.count
    do throws(DiskFailure) {
      file = try disk.create(path + ChunkFileWriter.temporarySuffix)
    } catch {
      throw .disk("Beginning \(path)", error)
    }
    try write(header, at: 0)
  }

  /// Adds a chunk of at most 16 MiB. Keys ascend.
  package mutating func append(key: [UInt8], bytes: [UInt8]) throws(JournalError) {
    precondition(key.count == 32 && bytes.count <= JournalLimits.maximumRecordBytes)
    try write(bytes, at: end)
    index += key
    index.append(littleEndian: UInt64(end))
    index.append(littleEndian: UInt32(bytes.count))
    index.append(littleEndian: CRC32C.checksum(bytes))
    end += bytes.count
    count += 1
  }

  /// Makes the file durable and gives it its name.
  package func finish() throws(JournalError) {
    var tail = index
    tail.append(littleEndian: UInt64(end))
    tail.append(littleEndian: count)
    tail.append(littleEndian: CRC32C.checksum(index))
    tail += ChunkFileWriter.magic
    try write(tail, at: end)
    do throws(DiskFailure) {
      try disk.synchronize(file)
      disk.close(file)
      try disk.rename(path + ChunkFileWriter.temporarySuffix, to: path)
      try disk.synchronizeDirectory(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)))
    } catch {
      throw .disk("Finishing \(path)", error)
    }
  }

  /// Gives the file up.
  package func abandon() { disk.close(file) }

  private func write(_ bytes: [UInt8], at offset: Int) throws(JournalError) {
    do throws(DiskFailure) { try disk.writeAll(file, bytes, at: offset) } catch {
      throw .disk("Writing \(path)", error)
    }
  }
}

/// A finished file of chunks; the index is in memory, 48 bytes a chunk, and the chunks are read when they are wanted.
package final class ChunkFile: Sendable {
  /// Where it is.
  package let path: String
  /// What it is of.
  package let label: [UInt8]
  /// How many chunks there are.
  package let count: Int
  /// The length of the file.
  package let byteCount: Int

  private let disk: any Disk
  private let file: DiskFile
  private let index: [UInt8]

  /// Opens a file and checks all but the chunks; throws `.damaged` where that fails.
  package init(path: String, disk: any Disk = SystemDisk()) throws(JournalError) {
    self.path = path
    self.disk = disk
    let opened: DiskFile
    do throws(DiskFailure) { opened = try disk.openForReading(path) } catch { throw .disk("Opening \(path)", error) }
    do throws(DiskFailure) {
      byteCount = try disk.size(opened)
      label = try ChunkFile.label(opened, disk)
      index = try ChunkFile.index(opened, byteCount, disk)
    } catch {
      disk.close(opened)
      if error.errorNumber == ChunkFile.unsound { throw ChunkFile.damaged(path) }
      throw .disk("Reading \(path)", error)
    }
    file = opened
    count = index.count / ChunkFileWriter.entryBytes
  }

  deinit { disk.close(file) }

  /// The chunk with the highest key that is not above `key`; nil when all are above. Throws `.damaged` where it does
  /// not check.
  package func chunk(upTo key: [UInt8]) throws(JournalError) -> [UInt8]? {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if key.lexicographicallyPrecedes(self.key(middle)) { high = middle } else { low = middle + 1 }
    }
    return low > 0 ? try chunk(at: low - 1) : nil
  }

  /// A chunk by its number, from 0; throws `.damaged` where it does not check.
  package func chunk(at position: Int) throws(JournalError) -> [UInt8] {
    let entry = position * ChunkFileWriter.entryBytes
    let bytes: [UInt8]
    do throws(DiskFailure) {
      bytes = try disk.read(
        file, count: Int(index.readUInt32(at: entry + 40)), at: Int(index.readUInt64(at: entry + 32)))
    } catch {
      throw .disk("Reading \(path)", error)
    }
    guard bytes.count == Int(index.readUInt32(at: entry + 40)),
      CRC32C.checksum(bytes) == index.readUInt32(at: entry + 44)
    else { throw ChunkFile.damaged(path) }
    return bytes
  }

  private func key(_ position: Int) -> ArraySlice<UInt8> {
    let entry = position * ChunkFileWriter.entryBytes
    return index[entry..<(entry + 32)]
  }

  /// Stands in for an error number where the bytes are wrong; no system uses it.
  private static let unsound: Int32 = -1

  private static func label(_ file: DiskFile, _ disk: any Disk) throws(DiskFailure) -> [UInt8] {
    let wrong = DiskFailure(operation: "check", path: file.path, errorNumber: unsound)
    let head = try disk.read(file, count: 16, at: 0)
    guard head.count == 16, head[..<8].elementsEqual(ChunkFileWriter.magic),
      head.readUInt32(at: 8) == ChunkFileWriter.version,
      head.readUInt32(at: 12) <= UInt32(JournalLimits.maximumRecordBytes)
    else { throw wrong }
    let length = Int(head.readUInt32(at: 12))
    let rest = try disk.read(file, count: length + 4, at: 16)
    guard rest.count == length + 4, CRC32C.checksum(head + rest[..<length]) == rest.readUInt32(at: length) else {
      throw wrong
    }
    return Array(rest[..<length])
  }

  private static func index(_ file: DiskFile, _ size: Int, _ disk: any Disk) throws(DiskFailure) -> [UInt8] {
    let wrong = DiskFailure(operation: "check", path: file.path, errorNumber: unsound)
    guard size >= ChunkFileWriter.footerBytes else { throw wrong }
    let end = size - ChunkFileWriter.footerBytes
    let footer = try disk.read(file, count: ChunkFileWriter.footerBytes, at: end)
    guard footer.count == ChunkFileWriter.footerBytes, footer[16...].elementsEqual(ChunkFileWriter.magic),
      let offset = Int(exactly: footer.readUInt64(at: 0)), offset <= end,
      end - offset == Int(footer.readUInt32(at: 8)) * ChunkFileWriter.entryBytes
    else { throw wrong }
    let index = try disk.read(file, count: end - offset, at: offset)
    guard index.count == end - offset, CRC32C.checksum(index) == footer.readUInt32(at: 12) else { throw wrong }
    for entry in stride(from: 0, to: index.count, by: ChunkFileWriter.entryBytes) {
      let start = index.readUInt64(at: entry + 32)
      guard start <= UInt64(offset), UInt64(index.readUInt32(at: entry + 40)) <= UInt64(offset) - start else {
        throw wrong
      }
    }
    return index
  }

  private static func damaged(_ path: String) -> JournalError {
    JournalError(.damaged, "\(path) is damaged. It is set aside: an older one, the blocks or peers stand in for it.")
  }
}
