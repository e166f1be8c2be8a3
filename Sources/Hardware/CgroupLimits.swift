/// The limits of the cgroups around this process, of version 1, 2 or both.
///
/// A limit of any group on the way up binds, so the least counts. What `/proc/self/cgroup` says is the host's path; in
/// a container without a cgroup namespace the mount begins deeper, and its root is taken off.
struct CgroupLimits {
  private struct Place {
    var mountPoint: String
    var group: String
  }

  private let files: HostFiles
  private var unified: Place?
  private var cpu: Place?
  private var memory: Place?

  init(files: HostFiles) {
    self.files = files
    var groups: [String: String] = [:]
    for line in (files.text("/proc/self/cgroup") ?? "").split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      for controller in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
        groups[String(controller)] = String(fields[2])
      }
    }
    for line in (files.text("/proc/self/mountinfo") ?? "").split(separator: "\n") {
      guard let mount = MountLine(line) else { continue }
      func place(_ group: String?) -> Place? {
        guard let group else { return nil }
        let isBelow = mount.root == "/" || group == mount.root || group.hasPrefix(mount.root + "/")
        let inner = !isBelow ? "" : mount.root == "/" ? group : String(group.dropFirst(mount.root.count))
        return Place(mountPoint: mount.mountPoint, group: inner)
      }
      switch mount.fileSystem {
      case "cgroup2": unified = unified ?? place(groups[""])
      case "cgroup":
        let controllers = mount.options.split(separator: ",")
        if controllers.contains("cpu") { cpu = cpu ?? place(groups["cpu"]) }
        if controllers.contains("memory") { memory = memory ?? place(groups["memory"]) }
      default: break
      }
    }
  }

  /// The least processor quota, in thousandths of a core, and the file that sets it.
  func cpuQuota() -> (milli: Int, source: String)? {
    var least: (milli: Int, source: String)?
    func consider(_ quota: Int?, _ period: Int?, _ source: String) {
      guard let quota, let period, quota > 0, period > 0, quota < Int.max / 1000 else { return }
      let milli = max(1, quota * 1000 / period)
      if milli < least?.milli ?? .max { least = (milli, source) }
    }
    for directory in directories(unified) {
      let fields = (files.line(directory + "/cpu.max") ?? "").split(separator: " ").map { Int($0) }
      if fields.count == 2 { consider(fields[0], fields[1], directory + "/cpu.max") }
    }
    for directory in directories(cpu) {
      let source = directory + "/cpu.cfs_quota_us"
      consider(
        files.line(source).flatMap { Int($0) }, files.line(directory + "/cpu.cfs_period_us").flatMap { Int($0) },
        source)
    }
    return least
  }

  /// The least memory limit, and the file that sets it.
  func memoryLimit() -> (bytes: UInt64, source: String)? {
    let sources =
      directories(unified).map { $0 + "/memory.max" } + directories(memory).map { $0 + "/memory.limit_in_bytes" }
    var least: (bytes: UInt64, source: String)?
    for source in sources {
      // Version 1 writes "no limit" as the largest number of pages.
      guard let bytes = files.number(source), bytes < 1 << 60 else { continue }
      if bytes < least?.bytes ?? .max { least = (bytes, source) }
    }
    return least
  }

  /// From the group up to where its hierarchy is mounted.
  private func directories(_ place: Place?) -> [String] {
    guard let place else { return [] }
    var pieces = place.group.split(separator: "/").filter { $0 != ".." }.prefix(64)
    var result: [String] = []
    while true {
      result.append(([Substring(place.mountPoint)] + pieces).joined(separator: "/"))
      guard pieces.popLast() != nil else { return result }
    }
  }
}

/// A line of `/proc/self/mountinfo` (proc(5)), as much as is needed of it.
struct MountLine {
  /// `major:minor` of the device.
  let device: String
  /// What of the file system is mounted.
  let root: String
  let mountPoint: String
  let fileSystem: String
  let source: String
  /// Of the file system, which for cgroups are its controllers.
  let options: String

  init?(_ line: Substring) {
    let fields = line.split(separator: " ").map(String.init)
    // Optional fields of any number end at a lone hyphen.
    guard fields.count >= 10, let hyphen = fields[6...].firstIndex(of: "-"), hyphen + 3 < fields.count else {
      return nil
    }
    device = fields[2]
    root = fields[3]
    mountPoint = fields[4]
    fileSystem = fields[hyphen + 1]
    source = fields[hyphen + 2]
    options = fields[hyphen + 3]
  }
}
