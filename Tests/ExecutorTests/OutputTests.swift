import Foundation
import Testing

@testable import Executor

@Suite("What is collected from /out", .enabled(if: canRunJobs, whyNot))
struct OutputTests {
  private func paths(_ manifest: OutputManifest) -> [String] {
    manifest.entries.map { String(decoding: $0.path, as: UTF8.self) }
  }

  @Test func filesDirectoriesAndInnerLinks() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell(
      "mkdir -p a/b; printf 12345 > a/b/f; printf x > r; chmod 4755 r; ln -s a/b/f inner; ln -s ../../r a/b/up")
    let manifest = try await bench.supervisor.collectOutput(leaseID: outcome.lease, maximumBytes: 1000)
    try #require(paths(manifest) == ["a", "a/b", "a/b/f", "r", "a/b/up", "inner"])
    #expect(manifest.totalBytes == 6 && manifest.refusedCount == 0)
    #expect(manifest.entries[3].mode == 0o755)
    #expect(manifest.entries[5].kind == .link(target: Array("a/b/f".utf8)))
    var status = stat()
    #expect(stat("\(manifest.directory)/r", &status) == 0 && status.st_mode & 0o7777 == 0o755)
    let file = try bench.supervisor.openOutput(leaseID: outcome.lease, path: Array("a/b/f".utf8))
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 8)
    #expect(read(file, &bytes, 8) == 5)
    #expect(throws: ExecutorError.self) {
      try bench.supervisor.openOutput(leaseID: outcome.lease, path: Array("inner".utf8))
    }
    #expect(throws: ExecutorError.self) {
      try bench.supervisor.openOutput(leaseID: outcome.lease, path: Array("../exit.json".utf8))
    }
  }

  @Test func whatLeadsOutIsRefused() async throws {
    let bench = try Workbench()
    let outcome = try await bench.python(
      """
      import os, socket
      os.symlink("/etc/shadow", "absolute")
      os.symlink("../exit.json", "up")
      os.symlink("loop", "loop")
      os.symlink("absolute", "chained")
      os.mkdir("d"); os.symlink("../..", "d/out")
      os.symlink("d/out/../../etc/shadow", "through")
      os.mkfifo("fifo")
      s = socket.socket(socket.AF_UNIX); s.bind("sock")
      open(b"bad\\xff\\nname", "w").write("kept")
      os.mkdir("secret"); open("secret/f", "w").write("y"); os.chmod("secret", 0)
      """)
    let manifest = try await bench.supervisor.collectOutput(leaseID: outcome.lease, maximumBytes: 1000)
    let kept = Set(manifest.entries.map(\.path))
    #expect(
      kept == [
        Array("bad".utf8) + [0xff, 0x0a] + Array("name".utf8), Array("d".utf8), Array("secret".utf8),
        Array("secret/f".utf8),
      ])
    #expect(manifest.refusedCount == 8 && manifest.refusals.count == 8)
    #expect(Set(FileAccess.names(in: manifest.directory)).count == 3)
    try await bench.supervisor.removeOutput(leaseID: outcome.lease)
    #expect(access(manifest.directory, F_OK) != 0)
    #expect(FileAccess.text("\(bench.jobPath(outcome.lease))/exit.json") != nil)
  }

  @Test func boundsOfTheCollection() async throws {
    let bench = try Workbench()
    let outcome = try await bench.shell("printf 1234567890 > a; printf 1234567890 > b; truncate -s 1M c; printf 1 > d")
    let manifest = try await bench.supervisor.collectOutput(leaseID: outcome.lease, maximumBytes: 15)
    #expect(paths(manifest) == ["a", "d"] && manifest.refusedCount == 2 && manifest.totalBytes == 11)
  }

  @Test func deepTreesAreRemoved() async throws {
    let directory = "/tmp/linnet-deep-\(getpid())-\(UInt32.random(in: .min ... .max))"
    try FileAccess.makeDirectory(directory, mode: 0o700)
    // 500 levels: more than a path can name.
    var current = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    for _ in 0..<500 {
      let name = String(repeating: "d", count: 40)
      #expect(mkdirat(current, name, 0o700) == 0)
      let next = openat(current, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      close(current)
      current = next
    }
    close(current)
    let parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { close(parent) }
    TreeRemover.remove(DirectoryNames.c(Array(directory.dropFirst("/tmp/".count).utf8)), in: parent)
    #expect(access(directory, F_OK) != 0)
  }
}
