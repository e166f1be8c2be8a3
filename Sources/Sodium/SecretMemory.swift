import CSodium

/// Secret bytes in guarded memory: kept out of swap and core dumps where the system allows, between guard pages, and
/// zeroed when released (libsodium `sodium_malloc`).
package final class SecretMemory: Sendable {
  /// Where a secret lies.
  package enum Place: Sendable {
    /// On pages of its own, read-only once written: for what lasts as long as the process.
    case own
    /// On pages that it shares with others: for what comes and goes with connections, at most 64 bytes.
    case shared
  }

  /// The number of secret bytes.
  package let count: Int

  // Safe to share: the bytes are written once, in init, before any other reference exists, and the pages are
  // only read from then on; they are freed in deinit, when no reference is left.
  private nonisolated(unsafe) let base: UnsafeMutablePointer<UInt8>
  private let place: Place

  /// Allocates `count` bytes and lets `fill` write them.
  ///
  /// - Throws: `SodiumError` with code `outOfMemory`, or what `fill` throws.
  package init(
    count: Int, in place: Place = .own, fill: (UnsafeMutablePointer<UInt8>) throws(SodiumError) -> Void
  ) throws(SodiumError) {
    precondition(sodiumIsReady && (place == .own || count <= SecretPool.slotByteCount))
    let memory =
      place == .own
      ? sodium_malloc(count)?.bindMemory(to: UInt8.self, capacity: count) : SecretPool.shared.take()
    guard let memory else {
      throw SodiumError(
        .outOfMemory, "Cannot get \(count) bytes of guarded memory for a key: raise the limit on locked memory.")
    }
    self.count = count
    self.place = place
    base = memory
    try fill(base)
    // Not fatal where it fails: the pages then merely stay writable.
    if place == .own { _ = sodium_mprotect_readonly(memory) }
  }

  /// A copy of the given secret.
  package convenience init(copying secret: UnsafeBufferPointer<UInt8>, in place: Place = .own) throws(SodiumError) {
    try self.init(count: secret.count, in: place) { memory throws(SodiumError) in
      if let source = secret.baseAddress { memory.update(from: source, count: secret.count) }
    }
  }

  /// A copy of the given secret, whose array the caller zeroes or lets go.
  package convenience init(copying secret: [UInt8], in place: Place = .own) throws(SodiumError) {
    try self.init(count: secret.count, in: place) { memory throws(SodiumError) in
      for index in secret.indices { memory[index] = secret[index] }
    }
  }

  deinit {
    switch place {
    case .own: sodium_free(base)
    case .shared: SecretPool.shared.giveBack(base)
    }
  }

  /// Reads the secret. The pointer is good within `body` only.
  package func withBytes<Answer>(_ body: (UnsafePointer<UInt8>) -> Answer) -> Answer {
    body(UnsafePointer(base))
  }
}

/// Overwrites a secret that was held in an ordinary array.
package func zero(_ secret: inout [UInt8]) {
  secret.withUnsafeMutableBytes { sodium_memzero($0.baseAddress, $0.count) }
}
