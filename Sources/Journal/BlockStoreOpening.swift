/// Reads the files of a block store when it is opened.
struct BlockStoreOpening {
  let disk: any Disk
  let directory: String
  let networkID: [UInt8]
  let blocksPerFile: Int

  func run() throws(JournalError) -> (BlockStore.State, BlockFindings) {
    let outcome: Result<(BlockStore.State, BlockFindings), JournalError>
    do throws(DiskFailure) {
      outcome = try read()
    } catch {
      throw .disk("Reading the block store in \(directory)", error)
    }
    return try outcome.get()
  }

  private func read() throws(DiskFailure) -> Result<(BlockStore.State, BlockFindings), JournalError> {
    var findings = BlockFindings()
    var files: [BlockFile] = []
    for name in try disk.list(directory) where name.hasSuffix(BlockFileName.temporarySuffix) {
      try disk.remove(directory + "/" + name)
    }
    let heights = try disk.list(directory).compactMap(BlockFileName.firstHeight).sorted()
    for height in heights {
      let path = directory + "/" + BlockFileName.name(height)
      let file = try disk.openForReading(path)
      defer { disk.close(file) }
      let size = try disk.size(file)
      let header: BlockFileHeader?
      do throws(JournalError) {
        header = try BlockFileHeader.read(try head(of: file).get(), path: path)
      } catch {
        return .failure(error)
      }
      guard let header, header.firstHeight == height else {
        try disk.rename(path, to: path + ".damaged")
        try disk.synchronizeDirectory(directory)
        findings.unreadableFiles.append(path)
        continue
      }
      guard header.networkID == networkID else { return .failure(.wrongNetwork(path)) }
      var blocks = BlockFile(path: path, firstHeight: height, salt: header.salt)
      try blocks.scan(file, size: size, isLast: height == heights.last, limit: limit, disk)
      if height == heights.last { findings.tornBytes = size - blocks.end }
      if let last = files.last, last.nextHeight < height { findings.missing.append(last.nextHeight...(height - 1)) }
      findings.missing += blocks.missing
      files.append(blocks)
    }
    var state = BlockStore.State(files: files)
    if let last = files.last {
      let output = try disk.open(last.path)
      state.output = output
      do throws(DiskFailure) {
        try disk.truncate(output, to: last.end)
        try disk.synchronize(output)
      } catch {
        disk.close(output)
        throw error
      }
    }
    return .success((state, findings))
  }

  /// More blocks than a file is given are never in it, whatever number it was given when it was written.
  private var limit: Int { max(blocksPerFile, JournalLimits.blocksPerFile) }

  private func head(of file: DiskFile) -> Result<[UInt8], JournalError> {
    do throws(DiskFailure) {
      return .success(try disk.read(file, count: BlockFileHeader.byteCount, at: 0))
    } catch {
      return .failure(.disk("Reading \(file.path)", error))
    }
  }
}
