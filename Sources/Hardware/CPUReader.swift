import Glibc

/// Reads processors from `/proc` and `/sys`.
struct CPUReader {
  /// Flags that jobs ask for, by our name and the kernel's.
  static let flagsOfInterest: [(name: String, kernel: String)] = [
    ("avx", "avx"), ("avx2", "avx2"), ("fma", "fma"), ("f16c", "f16c"), ("avx512f", "avx512f"),
    ("avx512vnni", "avx512_vnni"), ("avx512bf16", "avx512_bf16"), ("amx", "amx_tile"), ("neon", "asimd"),
    ("sve", "sve"), ("sve2", "sve2"), ("sme", "sme"), ("aes", "aes"), ("sha", "sha_ni"),
  ]

  let files: HostFiles

  func read(limits: CgroupLimits, into facts: inout FactBook) -> CPUReport {
    var report = CPUReport()
    report.architecture = architecture(into: &facts)
    readInfo(&report, into: &facts)
    readTopology(&report, into: &facts)
    readLimits(&report, limits, into: &facts)
    return report
  }

  private func architecture(into facts: inout FactBook) -> String? {
    var names = utsname()
    guard uname(&names) == 0 else {
      facts.miss("cpu.architecture", "uname: \(HostFiles.reason(errno))")
      return nil
    }
    facts.read("cpu.architecture", from: "uname")
    return withUnsafeBytes(of: names.machine) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private func readInfo(_ report: inout CPUReport, into facts: inout FactBook) {
    let path = "/proc/cpuinfo"
    let text: String
    switch files.read(path) {
    case .text(let found): text = found
    case .failure(let why):
      for what in ["cpu.model", "cpu.threads", "cpu.flags"] { facts.miss(what, why) }
      return
    }
    var threads = 0
    var names: [String: String] = [:]
    // Big and little cores differ: a job may land on any, so only what all have counts.
    var flags: Set<Substring>?
    for line in text.split(separator: "\n") {
      guard let (key, value) = line.pair(":") else { continue }
      switch key {
      case "processor": threads += 1
      case "flags", "Features":
        let found = Set(value.split(separator: " ").map { Substring($0) })
        flags = flags?.intersection(found) ?? found
      default: if names[key] == nil { names[key] = value }
      }
    }
    if threads > 0 {
      report.threads = threads
      facts.read("cpu.threads", from: path)
    } else {
      facts.miss("cpu.threads", "\(path): no processor in it")
    }
    if let flags {
      report.flags = Self.flagsOfInterest.filter { flags.contains(Substring($0.kernel)) }.map(\.name)
      facts.read("cpu.flags", from: path)
    } else {
      facts.miss("cpu.flags", "\(path): no flags in it")
    }
    if let model = names["model name"] ?? names["Model"] ?? names["cpu"] ?? names["uarch"] {
      report.model = model
      facts.read("cpu.model", from: path)
    } else if let part = names["CPU part"], let maker = names["CPU implementer"] {
      report.model = "ARM implementer \(maker) part \(part)"
      facts.read("cpu.model", from: path)
    } else {
      facts.miss("cpu.model", "\(path): no model in it")
    }
  }

  private func readTopology(_ report: inout CPUReport, into facts: inout FactBook) {
    let base = "/sys/devices/system/cpu"
    var packages: Set<UInt64> = []
    var cores: Set<[UInt64]> = []
    for name in files.list(base) where name.hasPrefix("cpu") && Int(name.dropFirst(3)) != nil {
      guard let core = files.number("\(base)/\(name)/topology/core_id") else { continue }
      // Some boards answer -1 for the package: then there is one.
      let package = files.number("\(base)/\(name)/topology/physical_package_id") ?? 0
      packages.insert(package)
      cores.insert([package, core])
    }
    guard !cores.isEmpty else {
      facts.miss("cpu.sockets", "\(base): no topology in it")
      facts.miss("cpu.cores", "\(base): no topology in it")
      return
    }
    report.sockets = packages.count
    report.cores = cores.count
    facts.read("cpu.sockets", from: base)
    facts.read("cpu.cores", from: base)
  }

  private func readLimits(_ report: inout CPUReport, _ limits: CgroupLimits, into facts: inout FactBook) {
    let path = "/proc/self/status"
    if let line = files.text(path)?.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed_list:") }),
      let value = line.pair(":")?.value, let count = Self.countList(value)
    {
      report.allowedThreads = count
      facts.read("cpu.allowedThreads", from: path)
    } else {
      facts.miss("cpu.allowedThreads", "\(path): no affinity in it")
    }
    if let quota = limits.cpuQuota() {
      report.quotaMilli = quota.milli
      facts.read("cpu.quotaMilli", from: quota.source)
    }
    let threads = [report.threads, report.allowedThreads].compactMap { $0 }.min()
    report.effectiveMilli = [threads.map { $0 * 1000 }, report.quotaMilli].compactMap { $0 }.min()
  }

  /// How many numbers a list such as `0-3,8` names.
  static func countList(_ text: String) -> Int? {
    var count = 0
    for piece in text.split(separator: ",") {
      let ends = piece.trimmed.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first >= 0, last >= first,
        last < 1 << 20
      else { return nil }
      count += last - first + 1
    }
    return count > 0 ? min(count, 1 << 20) : nil
  }
}
