import CLinux
import Foundation
import Testing

@testable import Hardware

@Suite("Processors, memory, disks, system")
struct HostTests {
  private let mounts = """
    25 30 0:23 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755
    26 25 0:24 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
    27 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
    28 25 0:26 /box /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory

    """

  private func cpuinfo(threads: Int, flags: String) -> String {
    (0..<threads).map { "processor\t: \($0)\nmodel name\t: Test CPU @ 3GHz\nflags\t\t: \(flags)\n\n" }.joined()
  }

  @Test("a processor with two sockets of two cores of two threads")
  func cpu() throws {
    let tree = try FixtureTree()
    try tree.write("/proc/cpuinfo", cpuinfo(threads: 8, flags: "fpu avx avx2 avx512f amx_tile amx_int8 aes"))
    for thread in 0..<8 {
      let path = "/sys/devices/system/cpu/cpu\(thread)/topology"
      try tree.write("\(path)/physical_package_id", "\(thread / 4)\n")
      try tree.write("\(path)/core_id", "\(thread / 2 % 2)\n")
    }
    try tree.write("/sys/devices/system/cpu/cpufreq/x", "")
    try tree.write("/proc/self/status", "Name:\tx\nCpus_allowed:\t1f\nCpus_allowed_list:\t0-3,6\n")
    let cpu = tree.report().cpu
    #expect(cpu.model == "Test CPU @ 3GHz" && cpu.sockets == 2 && cpu.cores == 4 && cpu.threads == 8)
    #expect(cpu.flags == ["avx", "avx2", "avx512f", "amx", "aes"])
    #expect(cpu.allowedThreads == 5 && cpu.quotaMilli == nil && cpu.effectiveMilli == 5000)
    #expect(tree.report().source("cpu.model") == "/proc/cpuinfo")
  }

  @Test("ARM: features, no package ids, a flag that not every core has")
  func arm() throws {
    let tree = try FixtureTree()
    try tree.write(
      "/proc/cpuinfo",
      "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n\n"
        + "processor\t: 1\nFeatures\t: fp asimd\n")
    try tree.write("/sys/devices/system/cpu/cpu0/topology/physical_package_id", "-1\n")
    try tree.write("/sys/devices/system/cpu/cpu0/topology/core_id", "0\n")
    let cpu = tree.report().cpu
    #expect(cpu.model == "ARM implementer 0x41 part 0xd40" && cpu.flags == ["neon"])
    #expect(cpu.threads == 2 && cpu.sockets == 1 && cpu.effectiveMilli == 2000)
  }

  @Test("cgroup 2: the least limit on the way up binds")
  func unifiedLimits() throws {
    let tree = try FixtureTree()
    try tree.write("/proc/self/cgroup", "0::/outer/inner\n")
    try tree.write("/proc/self/mountinfo", "26 25 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    try tree.write("/sys/fs/cgroup/outer/cpu.max", "150000 100000\n")
    try tree.write("/sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n")
    try tree.write("/sys/fs/cgroup/outer/memory.max", "max\n")
    try tree.write("/sys/fs/cgroup/outer/inner/memory.max", "1073741824\n")
    try tree.write("/proc/cpuinfo", cpuinfo(threads: 4, flags: "fpu"))
    try tree.write("/proc/meminfo", "MemTotal:        4194304 kB\nMemFree: 1 kB\nMemAvailable:    2097152 kB\n")
    let report = tree.report()
    #expect(report.cpu.quotaMilli == 1500 && report.cpu.effectiveMilli == 1500)
    #expect(report.source("cpu.quotaMilli") == "/sys/fs/cgroup/outer/cpu.max")
    #expect(report.memory.totalBytes == 4 << 30 && report.memory.availableBytes == 2 << 30)
    #expect(report.memory.limitBytes == 1 << 30 && report.memory.effectiveBytes == 1 << 30)
  }

  @Test("cgroup 1 beside 2, a controller pair, and a mount that begins below the host's root")
  func hybridLimits() throws {
    let tree = try FixtureTree()
    try tree.write("/proc/self/cgroup", "4:memory:/box/job\n1:cpu,cpuacct:/a\n0::/\n")
    try tree.write("/proc/self/mountinfo", mounts)
    try tree.write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n")
    try tree.write("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n")
    try tree.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    try tree.write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "536870912\n")
    try tree.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    let limits = CgroupLimits(files: HostFiles(root: tree.root))
    #expect(limits.cpuQuota()?.milli == 500)
    #expect(limits.memoryLimit()?.bytes == 512 << 20)
    #expect(limits.memoryLimit()?.source == "/sys/fs/cgroup/memory/job/memory.limit_in_bytes")
  }

  @Test(
    "nonsense in limits is no limit and no crash", arguments: ["", "max", "-5 100000", "1 0", "x y", "1 2 3", "0 0"])
  func nonsenseQuota(text: String) throws {
    let tree = try FixtureTree()
    try tree.write("/proc/self/cgroup", "0::/../..\nx\n1:a\n")
    try tree.write("/proc/self/mountinfo", "26 25 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\nshort line\n")
    try tree.write("/sys/fs/cgroup/cpu.max", text + "\n")
    try tree.write("/sys/fs/cgroup/memory.max", text + "\n")
    let limits = CgroupLimits(files: HostFiles(root: tree.root))
    #expect(limits.cpuQuota() == nil)
    #expect(limits.memoryLimit() == nil)
  }

  @Test("a disk: the nearest directory that exists, its device by number, spinning or not")
  func disk() throws {
    let tree = try FixtureTree()
    var major: UInt32 = 0
    var minor: UInt32 = 0
    try #require(linnet_device_of(tree.root, &major, &minor) == 0)
    try tree.write("/sys/block/sdx/queue/rotational", "1\n")
    try tree.write("/sys/block/sdx/sdx1/partition", "1\n")
    try tree.link("/sys/dev/block/\(major):\(minor)", to: "../../block/sdx/sdx1")
    try tree.write("/var/lib/x", "")
    let report = tree.report(diskPaths: ["/var/lib/linnet/jobs", "/"])
    #expect(report.disks.map(\.measuredPath) == ["/var/lib", "/"])
    #expect(report.disks.first?.device == "sdx1" && report.disks.first?.isRotational == true)
    #expect(report.disks.first?.totalBytes ?? 0 > 0)
    #expect(report.disks.first?.freeBytes ?? 0 <= report.disks.first?.totalBytes ?? 0)

    // By the mount's source, where the number is a file system's own.
    let other = try FixtureTree()
    try other.write("/proc/self/mountinfo", "1 0 \(major):\(minor) / / rw - btrfs /dev/nvme0n1p2 rw\n")
    try other.link("/sys/class/block/nvme0n1p2", to: "../../devices/nvme0n1/nvme0n1p2")
    try other.write("/sys/devices/nvme0n1/nvme0n1p2/partition", "2\n")
    try other.write("/sys/devices/nvme0n1/queue/rotational", "0\n")
    #expect(other.report().disks.first?.isRotational == false)
  }

  @Test("hypervisors by flag, firmware and Xen's own file; containers by their marks")
  func system() throws {
    func hypervisor(flags: String?, vendor: String? = nil, product: String = "x") throws -> String? {
      let tree = try FixtureTree()
      if let flags { try tree.write("/proc/cpuinfo", "processor: 0\nflags\t\t: \(flags)\n") }
      if let vendor {
        try tree.write("/sys/class/dmi/id/sys_vendor", vendor + "\n")
        try tree.write("/sys/class/dmi/id/product_name", product + "\n")
      }
      return tree.report().system.hypervisor
    }
    #expect(try hypervisor(flags: "fpu hypervisor", vendor: "QEMU") == "kvm")
    #expect(try hypervisor(flags: "fpu hypervisor", vendor: "VMware, Inc.") == "vmware")
    #expect(
      try hypervisor(flags: "fpu hypervisor", vendor: "Microsoft Corporation", product: "Virtual Machine") == "hyper-v")
    #expect(try hypervisor(flags: "fpu", vendor: "Microsoft Corporation", product: "Surface") == "none")
    #expect(try hypervisor(flags: "fpu hypervisor") == "unknown")
    #expect(try hypervisor(flags: "fpu", vendor: "Amazon EC2", product: "m7i.metal-24xl") == "none")
    #expect(try hypervisor(flags: nil) == nil)
    let odd = try FixtureTree()
    try odd.write("/sys/class/dmi/id/sys_vendor", " Ma\u{1B}[2Jker\u{7F} \nsecond line\n")
    #expect(odd.report().system.machine == "Ma[2Jker")

    let tree = try FixtureTree()
    try tree.write("/sys/hypervisor/type", "xen\n")
    try tree.write("/.dockerenv", "")
    try tree.write("/proc/sys/kernel/osrelease", "6.18.1\n")
    try tree.write("/etc/os-release", "NAME=\"D\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")
    let system = tree.report().system
    #expect(system.hypervisor == "xen" && system.container == "docker" && system.kernel == "6.18.1")
    #expect(system.distribution == "Debian GNU/Linux 12 (bookworm)")
  }

  @Test("nothing at all is a normal answer: every fact that is missing says why")
  func nothing() throws {
    let tree = try FixtureTree()
    let report = tree.report()
    #expect(report.gpus.isEmpty && report.cpu.model == nil && report.memory.effectiveBytes == nil)
    for what in [
      "cpu.model", "cpu.threads", "cpu.flags", "cpu.sockets", "cpu.cores", "cpu.allowedThreads", "memory.totalBytes",
      "memory.availableBytes", "system.kernel", "system.distribution", "system.machine", "system.hypervisor",
      "disks[/].isRotational", "nvml", "gpus",
    ] {
      #expect(report.why(what)?.isEmpty == false, "\(what)")
    }
    #expect(report.why("cpu.model") == "/proc/cpuinfo: No such file or directory")
  }

  @Test(
    "lists of processors",
    arguments: [
      ("0", 1), ("0-3,8", 5), ("0-1023", 1024), ("", nil), ("3-1", nil), ("a", nil), ("-1", nil), ("0-", nil),
      ("0-99999999999999999999", nil), ("1-2-3", nil),
    ] as [(String, Int?)])
  func cpuLists(text: String, count: Int?) {
    #expect(CPUReader.countList(text) == count)
  }

  @Test("the host of the test, and its JSON form")
  func realHost() throws {
    let report = HardwareProbe(diskPaths: ["/", "/nonexistent/below"]).report()
    let threads = try #require(report.cpu.threads)
    let effective = try #require(report.cpu.effectiveMilli)
    #expect((1...(threads * 1000)).contains(effective))
    #expect(threads >= ProcessInfo.processInfo.activeProcessorCount)
    let total = try #require(report.memory.totalBytes)
    #expect(report.memory.availableBytes ?? .max <= total)
    #expect(total == ProcessInfo.processInfo.physicalMemory)
    #expect(report.disks.count == 2 && report.disks[1].measuredPath == "/")
    #expect(report.system.kernel?.isEmpty == false)
    #expect(Set(report.gpus.map(\.id)).count == report.gpus.count)
    #expect(report.gpus.allSatisfy { $0.offerable == $0.reasons.isEmpty })

    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    let data = try encoder.encode(report)
    #expect(try JSONDecoder().decode(HardwareReport.self, from: data) == report)
    #expect(String(decoding: data, as: UTF8.self).contains("\"effectiveMilli\""))
  }
}
