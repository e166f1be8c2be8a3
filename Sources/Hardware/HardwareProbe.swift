/// Finds out what the host has. Reads files below a root and asks NVML in a child process; needs no privileges and
/// changes nothing. Absent drivers, files and libraries are normal answers.
package struct HardwareProbe: Sendable {
  private let root: String
  private let diskPaths: [String]
  private let nvml: NVMLProbe

  /// - Parameters:
  ///   - root: where `/proc`, `/sys` and `/etc` are; another than `/` in tests.
  ///   - diskPaths: paths whose file systems are measured; need not exist yet. At most 16 are.
  ///   - nvmlLibrary: NVIDIA's library, as dlopen takes it.
  ///   - probeExecutable: a program of this package, which becomes the NVML probe when its first argument says so.
  ///   - timeoutMicroseconds: how long NVML may take before it is given up.
  package init(
    root: String = "/", diskPaths: [String] = ["/"], nvmlLibrary: String = "libnvidia-ml.so.1",
    probeExecutable: String = "/proc/self/exe", timeoutMicroseconds: UInt64 = 20_000_000
  ) {
    self.root = root
    self.diskPaths = Array(diskPaths.prefix(16))
    nvml = NVMLProbe(
      library: nvmlLibrary, executable: probeExecutable, timeoutMicroseconds: timeoutMicroseconds)
  }

  /// Reads everything anew. Blocks for milliseconds, or as long as NVML takes up to the timeout: not for an event loop.
  package func report() -> HardwareReport {
    let files = HostFiles(root: root)
    var facts = FactBook()
    let cgroups = CgroupLimits(files: files)
    let cpu = CPUReader(files: files).read(limits: cgroups, into: &facts)
    let memory = MemoryReader(files: files).read(limits: cgroups, into: &facts)
    let disks = diskPaths.map { DiskReader(files: files).read($0, into: &facts) }
    let system = SystemReader(files: files).read(into: &facts)
    let gpus = GPUReader(files: files).read(nvml: nvml.ask(), into: &facts)
    return HardwareReport(
      cpu: cpu, memory: memory, disks: disks, system: system, gpus: gpus, sources: facts.sources,
      unread: facts.unread)
  }
}
