import CLinux
import Glibc

/// Measures the file system of a path and finds what kind of disk is below it.
struct DiskReader {
  let files: HostFiles

  func read(_ path: String, into facts: inout FactBook) -> DiskReport {
    var report = DiskReport(path: path)
    let what = "disks[\(path)]"
    // The data directory may not have been made yet: its file system is that of the nearest ancestor.
    var existing = path
    while !files.exists(existing), existing != "/", !existing.isEmpty {
      existing = existing.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    }
    if existing.isEmpty { existing = "/" }
    report.measuredPath = existing

    var space = statvfs()
    if statvfs(files.location(existing), &space) == 0 {
      let block = UInt64(space.f_frsize)
      report.totalBytes = UInt64(space.f_blocks).multipliedReportingOverflow(by: block).partialValue
      report.freeBytes = UInt64(space.f_bavail).multipliedReportingOverflow(by: block).partialValue
      facts.read("\(what).totalBytes", from: "statvfs \(existing)")
      facts.read("\(what).freeBytes", from: "statvfs \(existing)")
    } else {
      let why = "statvfs \(existing): \(HostFiles.reason(errno))"
      facts.miss("\(what).totalBytes", why)
      facts.miss("\(what).freeBytes", why)
    }
    readDevice(&report, what, into: &facts)
    return report
  }

  private func readDevice(_ report: inout DiskReport, _ what: String, into facts: inout FactBook) {
    guard let existing = report.measuredPath else { return }
    var major: UInt32 = 0
    var minor: UInt32 = 0
    let code = linnet_device_of(files.location(existing), &major, &minor)
    guard code == 0 else {
      return facts.miss("\(what).isRotational", "stat \(existing): \(HostFiles.reason(-code))")
    }
    let number = "\(major):\(minor)"
    var block = "/sys/dev/block/\(number)"
    if !files.exists(block) {
      // btrfs and overlays have numbers of their own; the mount may name the disk below.
      let mounts = (files.text("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap { MountLine($0) }
      let mount = mounts.first { $0.device == number }
      guard let mount, mount.source.hasPrefix("/dev/") else {
        let kind = mount.map { " (\($0.fileSystem))" } ?? ""
        return facts.miss("\(what).isRotational", "no block device has the number \(number) of \(existing)\(kind)")
      }
      block = "/sys/class/block/\(mount.source.dropFirst("/dev/".count))"
    }
    report.device = files.linkName(block)
    if report.device != nil { facts.read("\(what).device", from: block) }
    // A partition has no queue; its disk, the directory around it, has.
    for source in ["\(block)/queue/rotational", "\(block)/../queue/rotational"] {
      guard let value = files.number(source) else { continue }
      report.isRotational = value != 0
      return facts.read("\(what).isRotational", from: source)
    }
    facts.miss("\(what).isRotational", "\(block): no queue/rotational there")
  }
}
