/// Reads memory from `/proc/meminfo` and the cgroups.
struct MemoryReader {
  let files: HostFiles

  func read(limits: CgroupLimits, into facts: inout FactBook) -> MemoryReport {
    var report = MemoryReport()
    let path = "/proc/meminfo"
    switch files.read(path) {
    case .text(let text):
      let lines = text.split(separator: "\n")
      report.totalBytes = Self.bytes("MemTotal", in: lines)
      report.availableBytes = Self.bytes("MemAvailable", in: lines)
      for (what, value) in [("totalBytes", report.totalBytes), ("availableBytes", report.availableBytes)] {
        if value != nil {
          facts.read("memory.\(what)", from: path)
        } else {
          facts.miss("memory.\(what)", "\(path): not in it")
        }
      }
    case .failure(let why):
      facts.miss("memory.totalBytes", why)
      facts.miss("memory.availableBytes", why)
    }
    if let limit = limits.memoryLimit() {
      report.limitBytes = limit.bytes
      facts.read("memory.limitBytes", from: limit.source)
    }
    report.effectiveBytes = [report.totalBytes, report.limitBytes].compactMap { $0 }.min()
    return report
  }

  private static func bytes(_ name: String, in lines: [Substring]) -> UInt64? {
    guard let value = lines.lazy.compactMap({ $0.pair(":") }).first(where: { $0.key == name })?.value,
      let number = value.split(separator: " ").first.flatMap({ UInt64($0) })
    else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1024)
    return overflow ? nil : bytes
  }
}
