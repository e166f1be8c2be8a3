import LinkProtocol
import Testing

@testable import Transport

@Suite struct TransportErrorTests {
  // A failed handshake has the same name for programs, and is counted under it, wherever it is looked at.
  @Test(arguments: LinkProtocolError.Code.allCases) func handshakeErrorsKeepTheirNames(code: LinkProtocolError.Code) {
    let error = TransportError(LinkProtocolError(code, "what happened", cause: "why"))
    #expect(error.code.rawValue == code.rawValue)
    #expect(error.message == "what happened" && error.cause == "why")
    #expect(error.description == "what happened (why) [\(code.rawValue)]")
  }

  @Test func errorsOfAStepAreMapped() throws {
    let answer = try TransportError.mapping { () throws(LinkProtocolError) in 5 }
    #expect(answer == 5)
    let error = #expect(throws: TransportError.self) {
      try TransportError.mapping { () throws(LinkProtocolError) -> Int in throw LinkProtocolError(.badIdentity, "no") }
    }
    #expect(error == TransportError(.badIdentity, "no"))
  }
}
