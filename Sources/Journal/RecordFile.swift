/// A file of opaque records that only grows; each is durable when `append` returns.
///
/// Record, little-endian: length u32 ‖ CRC32C of (length ‖ payload) u32 ‖ payload. What does not check is cut off with
/// all that follows: whoever keeps records here can get them again.
package final class RecordFile: Sendable {
  private static let headerBytes = 8

  /// Where a record's payload is.
  package struct Extent: Equatable, Sendable {
    package var offset: Int
    package var length: Int
  }

  private let disk: any Disk
  private let file: DiskFile

  /// Opens the file, which is made if it is missing, and hands each sound record to `visit`, which answers whether to
  /// keep it; the first that it does not keep is cut off with all that follows.
  ///
  /// - Returns: the file, and how many bytes were cut off.
  package static func open(
    path: String, disk: any Disk = SystemDisk(), visit: (Extent, [UInt8]) -> Bool
  ) throws(JournalError) -> (file: RecordFile, end: Int, cutBytes: Int) {
    do throws(DiskFailure) {
      let slash = path.lastIndex(of: "/") ?? path.startIndex
      let directory = String(path[..<slash])
      let name = String(path[path.index(after: slash)...])
      let isNew = try !disk.list(directory).contains(name)
      let file = try isNew ? disk.create(path) : disk.open(path)
      do throws(DiskFailure) {
        let size = try disk.size(file)
        var end = 0
        while end < size {
          let head = try disk.read(file, count: headerBytes, at: end)
          guard head.count == headerBytes, head.readUInt32(at: 0) <= UInt32(JournalLimits.maximumRecordBytes) else {
            break
          }
          let extent = Extent(offset: end + headerBytes, length: Int(head.readUInt32(at: 0)))
          let payload = try disk.read(file, count: extent.length, at: extent.offset)
          guard payload.count == extent.length,
            CRC32C.checksum(head[..<4] + payload) == head.readUInt32(at: 4), visit(extent, payload)
          else { break }
          end = extent.offset + extent.length
        }
        if end < size { try disk.truncate(file, to: end) }
        try disk.synchronize(file)
        if isNew { try disk.synchronizeDirectory(directory) }
        return (RecordFile(disk, file), end, size - end)
      } catch {
        disk.close(file)
        throw error
      }
    } catch {
      throw .disk("Opening \(path)", error)
    }
  }

  private init(_ disk: any Disk, _ file: DiskFile) {
    self.disk = disk
    self.file = file
  }

  deinit { disk.close(file) }

  /// Writes a record of at most 16 MiB at `end` and syncs it; answers where it is. After a failure the caller must not
  /// write again.
  package func append(_ payload: [UInt8], at end: Int) throws(JournalError) -> Extent {
    precondition(payload.count <= JournalLimits.maximumRecordBytes)
    var record: [UInt8] = []
    record.append(littleEndian: UInt32(payload.count))
    record.append(littleEndian: CRC32C.checksum(record + payload))
    do throws(DiskFailure) {
      try disk.writeAll(file, record + payload, at: end)
      try disk.synchronize(file)
    } catch {
      throw .disk("Writing \(file.path)", error)
    }
    return Extent(offset: end + RecordFile.headerBytes, length: payload.count)
  }

  /// The payload at a place that `open` or `append` named.
  package func read(_ extent: Extent) throws(JournalError) -> [UInt8] {
    do throws(DiskFailure) {
      return try disk.read(file, count: extent.length, at: extent.offset)
    } catch {
      throw .disk("Reading \(file.path)", error)
    }
  }
}
