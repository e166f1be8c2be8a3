import Testing

@testable import Control

@Suite struct SubmissionTests {
  @Test func onlyTheCommandMustBeThere() throws {
    let submission = try ControlJSON.decode(JobSubmission.self, from: Array(#"{"command":["true"]}"#.utf8))
    #expect(submission == JobSubmission(command: ["true"]))
    #expect(submission.excludeSelf)
    try submission.check()
  }

  @Test func everyFieldSurvivesTheWay() throws {
    let submission = JobSubmission(
      command: ["a", ""], environment: ["K": "v"], inputs: [JobInput(name: "n", root: "r", isDirectory: true)],
      cpuMilli: 1, memoryBytes: 2, diskBytes: 3, gpus: 4, wallLimitSeconds: 5, maximumPriceMicrocredits: 6,
      labels: ["l": "m"], excludeSelf: false)
    #expect(try ControlJSON.decode(JobSubmission.self, from: ControlJSON.encode(submission)) == submission)
  }

  @Test func whatIsRefused() {
    let input = JobInput(name: "n", root: "r")
    let refused: [JobSubmission] = [
      JobSubmission(command: []), JobSubmission(command: [""]), JobSubmission(command: ["a\u{0}"]),
      JobSubmission(command: Array(repeating: "a", count: JobSubmission.maximumArguments + 1)),
      JobSubmission(command: [String(repeating: "a", count: JobSubmission.maximumTextBytes + 1)]),
      JobSubmission(command: ["a"], environment: ["": "v"]), JobSubmission(command: ["a"], environment: ["a=b": "v"]),
      JobSubmission(command: ["a"], inputs: [input, input]),
      JobSubmission(command: ["a"], inputs: [JobInput(name: "a/b", root: "r")]),
      JobSubmission(command: ["a"], inputs: [JobInput(name: "..", root: "r")]),
      JobSubmission(command: ["a"], inputs: [JobInput(name: "", root: "r")]),
      JobSubmission(command: ["a"], cpuMilli: 0), JobSubmission(command: ["a"], memoryBytes: 0),
      JobSubmission(command: ["a"], wallLimitSeconds: 0),
      JobSubmission(command: ["a"], wallLimitSeconds: JobSubmission.maximumWallLimitSeconds + 1),
      JobSubmission(command: ["a"], labels: ["": "x"]),
    ]
    for submission in refused {
      #expect(throws: ControlError.self, "\(submission)") { try submission.check() }
    }
  }

  @Test func pathsThatLeaveADirectory() {
    for path in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\u{0}", String(repeating: "a", count: 256)]
    {
      #expect(!DirectoryManifest.isSafe(path: path), "\(path)")
    }
    for path in ["a", "a/b", "...", "a b", ".hidden/ü"] { #expect(DirectoryManifest.isSafe(path: path)) }
    let twice = DirectoryManifest(entries: [.init(path: "a", root: "r"), .init(path: "a", root: "r")])
    #expect(throws: ControlError.self) { try twice.check() }
    #expect(throws: ControlError.self) { try DirectoryManifest(entries: [.init(path: "a")]).check() }
    #expect(throws: ControlError.self) { try DirectoryManifest(entries: [.init(path: "a", kind: .symlink)]).check() }
  }
}
