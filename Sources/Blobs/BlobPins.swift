import Glibc
import Primitives

extension BlobStore {
  /// Keeps a blob, and all below it if it is a directory, from eviction until `owner` unpins it; over restarts too.
  /// The blob need not be here yet.
  ///
  /// - Parameter owner: who needs it, such as `lease 12` or `user`: 1 to 128 bytes, no line feed.
  /// - Returns: whether that owner had not pinned it before.
  @discardableResult
  package func pin(_ root: Digest, by owner: String) throws(BlobError) -> Bool {
    guard !owner.isEmpty, owner.utf8.count <= BlobLimits.maximumOwnerBytes, !owner.utf8.contains(10) else {
      throw BlobError(.tooLarge, "The owner of a pin must be 1 to \(BlobLimits.maximumOwnerBytes) bytes in one line.")
    }
    return try state.withLock { state throws(BlobError) in
      var owners = state.pins[root] ?? []
      guard !owners.contains(owner) else { return false }
      guard owners.count < BlobLimits.maximumPinOwners,
        !owners.isEmpty || state.pins.count < BlobLimits.maximumPinnedRoots
      else { throw BlobError(.tooLarge, "Too many pins: unpin what is no longer needed.") }
      owners.insert(owner)
      try writePins(root, owners, &state)
      state.pins[root] = owners
      return true
    }
  }

  /// Ends one owner's pin; nothing happens where there is none.
  package func unpin(_ root: Digest, by owner: String) throws(BlobError) {
    try state.withLock { state throws(BlobError) in
      guard var owners = state.pins[root], owners.remove(owner) != nil else { return }
      try writePins(root, owners, &state)
      state.pins[root] = owners.isEmpty ? nil : owners
    }
  }

  /// Ends every pin of the owners for which `isReleased` holds.
  package func unpinAll(where isReleased: (String) -> Bool) throws(BlobError) {
    try state.withLock { state throws(BlobError) in
      for (root, owners) in state.pins {
        let left = owners.filter { !isReleased($0) }
        guard left.count < owners.count else { continue }
        try writePins(root, left, &state)
        state.pins[root] = left.isEmpty ? nil : left
      }
    }
  }

  /// Makes every pin of one owner another's; never is a root unpinned in between.
  package func handPins(of owner: String, to next: String) throws(BlobError) {
    try state.withLock { state throws(BlobError) in
      for (root, owners) in state.pins where owners.contains(owner) {
        let changed = owners.subtracting([owner]).union([next])
        try writePins(root, changed, &state)
        state.pins[root] = changed
      }
    }
  }

  /// Everyone who pins something, in alphabetical order.
  package var pinOwners: [String] {
    state.withLock { $0.pins.values.reduce(into: Set()) { $0.formUnion($1) }.sorted() }
  }

  /// Who pins a root, in alphabetical order.
  package func pins(of root: Digest) -> [String] { state.withLock { ($0.pins[root] ?? []).sorted() } }

  private func writePins(_ root: Digest, _ owners: Set<String>, _ state: inout State) throws(BlobError) {
    let path = path("pins", root)
    if owners.isEmpty {
      guard unlink(path) == 0 || errno == ENOENT else { throw .system("Removing \(path)") }
    } else {
      let temporary = "\(directory)/incoming/\(incomingName(&state))"
      let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC)
      try file.write(Array(owners.sorted().joined(separator: "\n").utf8), at: 0)
      try file.synchronize()
      guard rename(temporary, path) == 0 else { throw .system("Writing \(path)") }
    }
    try synchronizeDirectory(directory + "/pins")
  }

  func loadPins() throws(BlobError) {
    for (root, path) in try roots(in: "pins") {
      let file = try OpenFile(path, O_RDONLY)
      let limit = BlobLimits.maximumPinOwners * (BlobLimits.maximumOwnerBytes + 1)
      let text = String(decoding: try file.read(count: limit, at: 0), as: UTF8.self)
      let owners = Set(text.split(separator: "\n").map(String.init))
      if !owners.isEmpty { state.withLock { $0.pins[root] = owners } }
    }
  }
}
