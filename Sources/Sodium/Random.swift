import CSodium

/// Bytes from the operating system's random source.
package func randomBytes(_ count: Int) -> [UInt8] {
  precondition(sodiumIsReady)
  return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    if let base = buffer.baseAddress { randombytes_buf(base, count) }
    initialized = count
  }
}

/// True when both are equal, in a time that depends on their lengths only.
package func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  left.count == right.count && sodium_memcmp(left, right, left.count) == 0
}
