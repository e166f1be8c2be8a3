import Foundation
import Testing

@testable import Executor

@Suite("Many jobs at once", .enabled(if: canRunJobs, whyNot))
struct ManyJobsTests {
  @Test func eachRunsOnceAndIsRecorded() async throws {
    let count = 40
    let bench = try Workbench(jobs: count)
    let runs = (0..<count).map { number in bench.job(["/bin/sh", "-c", "echo \(number) > result; exit \(number)"]) }
    for run in runs { try await bench.supervisor.start(run) }
    for (number, run) in runs.enumerated() {
      let record = try await bench.supervisor.wait(leaseID: run.leaseID)
      #expect(record.reason == .exited && record.exitCode == Int(number), "\(record.message)")
      #expect(FileAccess.text("\(bench.jobPath(run.leaseID))/out/result") == "\(number)\n")
    }
    let records = FileAccess.names(in: "\(bench.directory)/jobs").filter {
      JobDirectory(path: bench.jobPath($0)).record() != nil
    }
    #expect(records.count == count)
    #expect(bench.groups().isEmpty)
  }
}
