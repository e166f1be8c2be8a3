import Testing

@testable import Control

@Suite struct JobArgumentTests {
  @Test(
    arguments: [
      ("a.txt", "a.txt", "a.txt"), ("/x/y/", "y", "/x/y/"), ("n=/x/y", "n", "/x/y"), ("./a=b", "a=b", "./a=b"),
      ("n=a=b", "n", "a=b"), (".", nil, "."), ("x/..", nil, "x/.."), ("/", nil, "/"), ("=p", "", "p"),
    ] as [(String, String?, String)]) func inputs(text: String, name: String?, path: String)
  {
    let input = JobArguments.input(text)
    #expect(input.name == name)
    #expect(input.path == path)
  }

  @Test func pairs() {
    #expect(JobArguments.pair("K=a=b").map { [$0.name, $0.value] } == ["K", "a=b"])
    #expect(JobArguments.pair("K=").map { [$0.name, $0.value] } == ["K", ""])
    #expect(JobArguments.pair("K") == nil)
    #expect(JobArguments.pair("=v") == nil)
  }

  private func chunk(_ offset: UInt64, _ text: String, attempt: Int = 0, _ stream: LogStream = .stdout) -> JobLogChunk {
    JobLogChunk(stream: stream, attempt: attempt, offset: offset, bytes: Array(text.utf8))
  }

  @Test func outputIsPutTogetherOnce() throws {
    var cursor = LogCursor()
    #expect(cursor.take(chunk(0, "hello")) == .init(bytes: Array("hello".utf8), missing: 0, isAnotherAttempt: false))
    #expect(cursor.take(chunk(0, "e", .stderr))?.bytes == Array("e".utf8))
    #expect(cursor.resumeOffset(of: [.stdout, .stderr]) == 1)
    #expect(cursor.resumeOffset(of: [.stdout]) == 5)
    #expect(cursor.take(chunk(1, "ello w"))?.bytes == Array(" w".utf8))
    #expect(cursor.take(chunk(0, "hel"))?.bytes == [])
    #expect(cursor.take(chunk(10, "x"))?.missing == 3)
  }

  @Test func anotherAttemptBeginsAnew() {
    var cursor = LogCursor()
    _ = cursor.take(chunk(0, "hello"))
    #expect(
      cursor.take(chunk(0, "hi", attempt: 1)) == .init(bytes: Array("hi".utf8), missing: 0, isAnotherAttempt: true))
    #expect(cursor.take(chunk(5, "late", attempt: 0)) == nil)
    #expect(cursor.take(chunk(2, "!", attempt: 1))?.bytes == Array("!".utf8))
    #expect(cursor.take(chunk(UInt64.max, "!!", attempt: 1)) == nil)
  }
}
