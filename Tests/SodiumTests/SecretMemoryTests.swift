import Testing

@testable import Sodium

@Suite(.serialized) struct SecretMemoryTests {
  @Test func secretsOnSharedPagesAreApartAndReadAsWritten() throws {
    // More than a page has.
    let secrets = (0..<200).map { number in [UInt8](repeating: UInt8(number), count: 1 + number % 64) }
    let held = try secrets.map { try SecretMemory(copying: $0, in: .shared) }
    for (memory, secret) in zip(held, secrets) {
      #expect(memory.withBytes { Array(UnsafeBufferPointer(start: $0, count: memory.count)) } == secret)
    }
    #expect(Set(held.map { $0.withBytes { UInt(bitPattern: $0) } }).count == held.count)
  }

  @Test func aSharedPlaceIsZeroWhenItIsTakenAgain() throws {
    for _ in 0..<3 {
      var held = try (0..<70).map { _ in try SecretMemory(copying: [UInt8](repeating: 0xff, count: 64), in: .shared) }
      held.removeAll()
      for _ in 0..<70 {
        var isZero = false
        _ = try SecretMemory(count: 64, in: .shared) { memory throws(SodiumError) in
          isZero = UnsafeBufferPointer(start: memory, count: 64).allSatisfy { $0 == 0 }
        }
        #expect(isZero)
      }
    }
  }

  @Test func aFailedFillGivesThePlaceBack() throws {
    func place() throws -> UInt {
      try SecretMemory(copying: [1], in: .shared).withBytes { UInt(bitPattern: $0) }
    }
    let before = try place()
    #expect(throws: SodiumError.self) {
      try SecretMemory(count: 32, in: .shared) { _ throws(SodiumError) in throw SodiumError(.invalidLength, "no") }
    }
    #expect(try place() == before)
  }
}
