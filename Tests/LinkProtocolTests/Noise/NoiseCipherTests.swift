import Sodium
import Testing

@testable import LinkProtocol

@Suite struct NoiseCipherTests {
  private let key = [UInt8](repeating: 7, count: 32)

  private func pair() throws -> (NoiseCipher, NoiseCipher) {
    (NoiseCipher(key: try AEADKey(bytes: key)), NoiseCipher(key: try AEADKey(bytes: key)))
  }

  @Test func anEmptyMessageIsItsTag() throws {
    var (sending, receiving) = try pair()
    let empty = sealed([], &sending)
    #expect(empty.count == NoiseCipher.tagByteCount)
    #expect(opened(empty, &receiving) == [])
  }

  @Test func whatIsShorterThanATagIsRefused() throws {
    var (sending, receiving) = try pair()
    for count in 0..<NoiseCipher.tagByteCount {
      #expect(opened([UInt8](repeating: 0, count: count), &receiving) == nil)
    }
    // No harm was done.
    #expect(opened(sealed([1], &sending), &receiving) == [1])
  }

  @Test func whatIsAuthenticatedWithAMessageMustBeTheSame() throws {
    var (sending, receiving) = try pair()
    var message = [UInt8](repeating: 5, count: 20)
    let isSealed = message.withUnsafeMutableBytes { sending.seal($0, authenticating: [1]) }
    #expect(isSealed)
    var copy = message
    let isOpenedWithOther = copy.withUnsafeMutableBytes { receiving.open($0, authenticating: [2]) }
    #expect(!isOpenedWithOther)
    let isOpened = message.withUnsafeMutableBytes { receiving.open($0, authenticating: [1]) }
    #expect(isOpened && message.prefix(4).elementsEqual([5, 5, 5, 5]))
  }

  @Test func afterARekeyTheOldKeyOpensNothing() throws {
    var (sending, receiving) = try pair()
    #expect(opened(sealed([1], &sending), &receiving) == [1])
    try sending.rekey()
    let message = sealed([2], &sending)
    #expect(opened(message, &receiving) == nil)
    try receiving.rekey()
    #expect(opened(message, &receiving) == [2])
    // The nonce went on: the message does not open a second time.
    #expect(opened(message, &receiving) == nil)
  }
}
