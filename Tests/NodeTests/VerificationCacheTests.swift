import Primitives
import Sodium
import Testing

@testable import Node

@Suite struct VerificationCacheTests {
  @Test func theLatestHalfIsRememberedAndNoMoreThanAll() {
    var memory = VerificationCache.Memory(capacity: 8)
    let ids = (0..<20).map { Digest(hashing: [UInt8($0)]) }
    for (count, id) in ids.enumerated() {
      #expect(!memory.contains(id))
      memory.insert(id)
      for latest in ids[max(0, count - 3)...count] { #expect(memory.contains(latest)) }
      #expect(ids.count { memory.contains($0) } <= 8)
    }
  }

  @Test func onlyWhatFitsIsRemembered() throws {
    let cache = VerificationCache()
    let key = try SigningKey(seed: [UInt8](repeating: 3, count: 32))
    let signature = key.sign([1, 2])
    for _ in 0..<2 {
      #expect(cache.check(signature, [1, 2], key.id))
      #expect(!cache.check(signature, [1, 3], key.id))
      #expect(!cache.check(signature, [1, 2], try nodeID(4)))
      #expect(!cache.check(.zero, [1, 2], key.id))
    }
  }
}
