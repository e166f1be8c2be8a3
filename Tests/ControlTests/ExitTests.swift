import Testing

@testable import Control

@Suite struct ExitTests {
  private func exit(_ state: JobState, code: Int32? = nil, reason: String? = nil) -> (code: Int32, message: String?) {
    RunExit.code(
      for: JobAnswer(id: "j", state: state, submitter: "s", command: [], exitCode: code, reason: reason))
  }

  @Test(arguments: [0, 1, 3, 124, 255] as [Int32]) func theCommandsOwn(code: Int32) {
    #expect(exit(.settled, code: code).code == code)
    #expect(exit(.settled, code: code).message == nil)
  }

  @Test(
    arguments: [
      ("wallLimit", nil, 124), ("wallLimit", 137, 124), ("memoryLimit", 137, 137), ("memoryLimit", nil, 137),
      ("killed", 143, 143), ("killed", nil, 137), ("diskLimit", 137, 137), ("startFailed", nil, 125), ("lost", 0, 125),
    ] as [(String, Int32?, Int32)]) func endedOtherwise(reason: String, code: Int32?, expected: Int32)
  {
    let answer = exit(.settled, code: code, reason: reason)
    #expect(answer.code == expected)
    #expect(answer.message != nil)
  }

  @Test(arguments: [JobState.cancelled, .expired, .refunded]) func notRun(state: JobState) {
    let answer = exit(state, reason: "because")
    #expect(answer.code == 125)
    #expect(answer.message?.contains("because") == true)
  }

  @Test func aJobThatNobodyTookIsToldFromOneThatWasRefused() {
    #expect(exit(.expired, reason: JobReason.noProvider).message?.contains("no provider") == true)
    #expect(exit(.expired, reason: "the account has nothing").message?.contains("no provider") == false)
  }

  @Test func codesThatNoProcessHas() {
    #expect(exit(.settled).code == 125)
    #expect(exit(.settled, code: 256).code == 125)
    #expect(exit(.settled, code: -1).code == 125)
    #expect(exit(.running, code: 0).code == 125)
  }
}
