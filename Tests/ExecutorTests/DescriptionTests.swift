import Foundation
import Testing

@testable import Executor

@Suite("Descriptions that are refused, and cgroup layouts")
struct DescriptionTests {
  private func refused(_ change: (inout JobRun) -> Void) -> Bool {
    var run = JobRun(leaseID: "0123456789abcdef", jobID: "1", command: ["true"])
    change(&run)
    do throws(ExecutorError) {
      try run.check()
      return false
    } catch {
      return error.code == .invalidJob
    }
  }

  @Test func boundsOfAJob() {
    #expect(!refused { _ in })
    #expect(refused { $0.leaseID = "../../etc/passwd" })
    #expect(refused { $0.leaseID = "ABCDEF0123" })
    #expect(refused { $0.leaseID = "" })
    #expect(refused { $0.command = [] })
    #expect(refused { $0.command = [""] })
    #expect(refused { $0.command = ["a\0b"] })
    #expect(refused { $0.command = ["a", String(repeating: "x", count: 2 << 20)] })
    #expect(refused { $0.command = Array(repeating: "a", count: 5000) })
    #expect(refused { $0.environment = [("A=B", "")] })
    #expect(refused { $0.environment = [("", "x")] })
    for name in ["", ".", "..", "a/b", "a\0", String(repeating: "n", count: 256)] {
      #expect(refused { $0.inputs = [(name, "/etc/hosts")] }, "\(name)")
    }
    #expect(refused { $0.inputs = [("a", "/etc/hosts"), ("a", "/etc/group")] })
    #expect(refused { $0.inputs = [("a", "relative")] })
    for path in ["/etc/passwd", "/dev/../etc", "/dev/", "/dev//x", "dev/x", "/dev"] {
      #expect(refused { $0.gpus = [path] }, "\(path)")
    }
    #expect(!refused { $0.gpus = ["/dev/dri/renderD128"] })
    #expect(refused { $0.cpuMilli = 0 })
    #expect(refused { $0.memoryBytes = -1 })
    #expect(refused { $0.memoryBytes = .max })
    #expect(refused { $0.diskBytes = 0 })
    #expect(refused { $0.pidsLimit = 0 })
    #expect(refused { $0.wallLimitMicroseconds = .max })
  }

  @Test func mountInfo() {
    let mounts = CgroupLayout.mounts(
      """
      30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
      31 24 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
      32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
      33 24 0:29 / /proc rw - proc proc rw
      broken
      """)
    #expect(mounts.count == 3)
    #expect(mounts[0].controllers.contains("cpu") && mounts[0].controllers.contains("cpuacct"))
    #expect(mounts[2].isUnified)
    #expect(CgroupLayout.directory(mounts[1], "/docker/abc/job") == "/sys/fs/cgroup/memory/job")
    #expect(CgroupLayout.directory(mounts[1], "/docker/abcd") == "/sys/fs/cgroup/memory")
    #expect(CgroupLayout.directory(mounts[2], "/") == "/sys/fs/cgroup/unified")
    #expect(CgroupLayout.directory(mounts[2], "/a/b") == "/sys/fs/cgroup/unified/a/b")
    let own = CgroupLayout.ownGroups("9:name=systemd:/\n4:memory:/a:b\n3:cpu,cpuacct:/c\n0::/u\n")
    #expect(own["memory"] == "/a:b" && own["cpuacct"] == "/c" && own[""] == "/u")
  }

  @Test func ordersByLayout() {
    let run = JobRun(leaseID: "0123456789abcdef", jobID: "1", command: ["true"], cpuMilli: 1500, memoryBytes: 1 << 30)
    let two = CgroupLayout(kind: .cgroup2, parents: ["unified": "/g"]).orders("j", run: run)
    #expect(two.contains { $0 == ("set", "/g/j/cpu.max=150000 100000") })
    #expect(two.contains { $0 == ("set", "/g/j/memory.max=1073741824") })
    #expect(two.contains { $0 == ("killFile", "/g/j/cgroup.kill") })
    let one = CgroupLayout(
      kind: .cgroup1, parents: ["cpu": "/c", "cpuacct": "/c", "memory": "/m", "pids": "/p"]
    ).orders("j", run: run)
    #expect(one.filter { $0.0 == "cgroup" }.map(\.1) == ["/c/j", "/m/j", "/p/j"])
    #expect(one.contains { $0 == ("procsFile", "/m/j/cgroup.procs") })
    #expect(!one.contains { $0.0 == "killFile" })
  }

  /// Hosts in mount namespaces of one kernel have different directories of one path, and share the cgroups.
  @Test func groupNamesDifferByDirectoryAndNotByPath() throws {
    let top = NSTemporaryDirectory() + "linnet-prefix-\(UUID().uuidString)"
    try FileAccess.makeDirectory(top, mode: 0o700)
    defer { try? FileManager.default.removeItem(atPath: top) }
    try FileAccess.makeDirectory(top + "/a", mode: 0o700)
    let first = try JobCgroup.prefix(top + "/a")
    #expect(try JobCgroup.prefix(top + "/a/../a") == first)
    #expect(rename(top + "/a", top + "/moved") == 0)
    try FileAccess.makeDirectory(top + "/a", mode: 0o700)
    #expect(try JobCgroup.prefix(top + "/a") != first)
    #expect(try JobCgroup.prefix(top + "/moved") == first)
    #expect(throws: ExecutorError.self) { try JobCgroup.prefix(top + "/none") }
  }
}
