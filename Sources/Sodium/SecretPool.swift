import CSodium
import Synchronization

/// Guarded memory for many short secrets. One of their own for each would cost ten system calls, more time than an X25519
/// multiplication, and there are nine in a handshake.
///
/// Pages come from `sodium_malloc`, so they are locked, out of core dumps and between guard pages; but many secrets share
/// one, and so none can be made read-only. They are kept for further secrets: as many as there ever were at once.
final class SecretPool: Sendable {
  static let shared = SecretPool()
  /// The longest secret.
  static let slotByteCount = 64
  // With libsodium's canary of 16 bytes they fill a page, and each begins at a multiple of its length.
  private static let slotsPerPage = 63

  /// The addresses that are free.
  private let free = Mutex<[UInt]>([])

  /// The place of a secret, in which there are zeros; nil when there is no more guarded memory.
  func take() -> UnsafeMutablePointer<UInt8>? {
    let address = free.withLock { free -> UInt? in
      if let address = free.popLast() { return address }
      guard let page = sodium_malloc(SecretPool.slotsPerPage * SecretPool.slotByteCount) else { return nil }
      sodium_memzero(page, SecretPool.slotsPerPage * SecretPool.slotByteCount)
      let first = UInt(bitPattern: page)
      free = (1..<SecretPool.slotsPerPage).map { first + UInt($0 * SecretPool.slotByteCount) }
      return first
    }
    return address.flatMap { UnsafeMutablePointer(bitPattern: $0) }
  }

  /// Zeroes a place and takes it back.
  func giveBack(_ place: UnsafeMutablePointer<UInt8>) {
    sodium_memzero(place, SecretPool.slotByteCount)
    let address = UInt(bitPattern: place)
    free.withLock { $0.append(address) }
  }
}
