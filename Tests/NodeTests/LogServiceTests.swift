import Primitives
import Testing
import Wire

@testable import Node

@Suite struct LogServiceTests {
  @Test func whatIsWrittenIsRead() throws {
    for isError in [false, true] {
      let request = LogRequest(lease: Digest(hashing: [1]), isError: isError, offset: .max)
      #expect(try LogRequest(decoding: request.encoded) == request)
    }
    for count in [0, 1, LogAnswer.maximumBytes] {
      let answer = LogAnswer(
        bytes: [UInt8](repeating: 7, count: count), nextOffset: UInt64(count), isComplete: count == 1)
      #expect(try LogAnswer(decoding: answer.encoded) == answer)
    }
  }

  @Test func whatIsNotOneIsRefused() throws {
    let request = LogRequest(lease: Digest(hashing: [1]), isError: true, offset: 300).encoded
    for count in 0..<request.count {
      #expect(throws: WireError.self) { try LogRequest(decoding: Array(request[..<count])) }
    }
    #expect(throws: WireError.self) { try LogRequest(decoding: request + [0]) }
    var wrong = request
    wrong[32] = 2
    #expect(throws: WireError.self) { try LogRequest(decoding: wrong) }
    let long = LogAnswer(
      bytes: [UInt8](repeating: 7, count: LogAnswer.maximumBytes + 1), nextOffset: 0, isComplete: false)
    #expect(throws: WireError.self) { try LogAnswer(decoding: long.encoded) }
    #expect(throws: WireError.self) { try LogAnswer(decoding: []) }
  }
}
