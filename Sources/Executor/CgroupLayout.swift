import Glibc

/// How a job's limits are enforced on this host.
package enum LimitKind: String, Sendable {
  /// Cgroup v2 with its cpu, memory and pids controllers.
  case cgroup2
  /// Cgroup v1 controllers, with v2's kill where that hierarchy is mounted beside them.
  case cgroup1
  /// No cgroup can be written: resource limits, and a kill when the measured memory is too much. CPU is not limited.
  case rlimit
}

/// One cgroup hierarchy as mounted here.
struct CgroupMount: Equatable {
  var mountPoint: String
  /// What of the hierarchy is mounted: `/` but in containers.
  var root: String
  var isUnified: Bool
  /// Of a v1 hierarchy.
  var controllers: [String]
}

/// Where jobs' cgroups are made: the directory of each controller below which this process may make them.
struct CgroupLayout: Sendable, Equatable {
  var kind: LimitKind
  /// Parents by controller: `cpu`, `memory`, `pids` and `cpuacct` of v1, or `unified`.
  var parents: [String: String]

  static let none = CgroupLayout(kind: .rlimit, parents: [:])

  /// Directories in which a job's cgroup is made, each once.
  func directories(_ name: String) -> [String] {
    Set(parents.values).sorted().map { "\($0)/\(name)" }
  }

  /// The instructions to the shim that make and limit the cgroup `name`.
  func orders(_ name: String, run: JobRun) -> [(String, String)] {
    let quota = run.cpuMilli * 100
    // The sandbox's own two processes, and the one between them while it starts.
    let pids = run.pidsLimit + 3
    var orders = directories(name).map { ("cgroup", $0) }
    func path(_ controller: String, _ file: String) -> String { "\(parents[controller] ?? "")/\(name)/\(file)" }
    switch kind {
    case .rlimit:
      return [("processes", "\(run.pidsLimit)")]
    case .cgroup2:
      orders += [
        ("set", path("unified", "cpu.max") + "=\(quota) 100000"),
        ("set", path("unified", "memory.max") + "=\(run.memoryBytes)"),
        ("trySet", path("unified", "memory.swap.max") + "=0"),
        ("trySet", path("unified", "memory.oom.group") + "=1"),
        ("set", path("unified", "pids.max") + "=\(pids)"),
        ("oomFile", path("unified", "memory.events")),
        ("cpuFile", path("unified", "cpu.stat")), ("cpuKey", "usage_usec"),
        ("peakFile", path("unified", "memory.peak")),
        ("pidsFile", path("unified", "pids.max")),
      ]
    case .cgroup1:
      orders += [
        ("set", path("cpu", "cpu.cfs_period_us") + "=100000"),
        ("set", path("cpu", "cpu.cfs_quota_us") + "=\(quota)"),
        ("set", path("memory", "memory.limit_in_bytes") + "=\(run.memoryBytes)"),
        ("trySet", path("memory", "memory.memsw.limit_in_bytes") + "=\(run.memoryBytes)"),
        ("trySet", path("memory", "memory.swappiness") + "=0"),
        ("set", path("pids", "pids.max") + "=\(pids)"),
        ("oomFile", path("memory", "memory.oom_control")),
        ("peakFile", path("memory", "memory.max_usage_in_bytes")),
        ("pidsFile", path("pids", "pids.max")),
      ]
      if parents["cpuacct"] != nil { orders.append(("cpuFile", path("cpuacct", "cpuacct.usage"))) }
    }
    if parents["unified"] != nil {
      orders += [
        ("killFile", path("unified", "cgroup.kill")), ("eventsFile", path("unified", "cgroup.events")),
        ("procsFile", path("unified", "cgroup.procs")),
      ]
    } else {
      orders.append(("procsFile", path("memory", "cgroup.procs")))
    }
    return orders
  }
}

extension CgroupLayout {
  /// The group that the daemon moves itself to, because v2 allows no processes beside limited groups.
  static let daemonGroup = "linnet-daemon"

  /// Mounts as in `/proc/self/mountinfo`: `id parent device root mountPoint options [tags] - type source options`.
  static func mounts(_ mountInfo: String) -> [CgroupMount] {
    mountInfo.split(separator: "\n").compactMap { line in
      let halves = line.split(separator: " - ", maxSplits: 1, omittingEmptySubsequences: false)
      guard halves.count == 2 else { return nil }
      let left = halves[0].split(separator: " ")
      let right = halves[1].split(separator: " ")
      guard left.count >= 6, right.count >= 3, right[0] == "cgroup" || right[0] == "cgroup2" else { return nil }
      let isUnified = right[0] == "cgroup2"
      return CgroupMount(
        mountPoint: String(left[4]), root: String(left[3]), isUnified: isUnified,
        controllers: isUnified ? [] : right[2].split(separator: ",").map(String.init))
    }
  }

  /// Own groups as in `/proc/self/cgroup`, lines of `id:controllers:path`: the path by controller, "" for v2.
  static func ownGroups(_ text: String) -> [String: String] {
    var groups: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard words.count == 3 else { continue }
      for controller in words[1].split(separator: ",", omittingEmptySubsequences: false) {
        groups[String(controller)] = String(words[2])
      }
    }
    return groups
  }

  /// Where the group `path` lies in `mount`, whose root is part of that path in a container.
  static func directory(_ mount: CgroupMount, _ path: String) -> String {
    var relative = path
    if mount.root != "/" {
      relative = path == mount.root || path.hasPrefix(mount.root + "/") ? String(path.dropFirst(mount.root.count)) : ""
    }
    return relative == "/" || relative.isEmpty ? mount.mountPoint : mount.mountPoint + relative
  }

  /// What this process may use: v2 with controllers, or v1, or nothing.
  static func detect() -> CgroupLayout {
    let mounts = mounts(FileAccess.text("/proc/self/mountinfo") ?? "")
    let own = ownGroups(FileAccess.text("/proc/self/cgroup") ?? "")
    let unified = mounts.first(where: \.isUnified)
    if let unified, let parent = delegated(unified, own: own[""] ?? "/") {
      return CgroupLayout(kind: .cgroup2, parents: ["unified": parent])
    }
    var parents: [String: String] = [:]
    for controller in ["cpu", "memory", "pids", "cpuacct"] {
      guard let mount = mounts.first(where: { $0.controllers.contains(controller) }) else { continue }
      let parent = directory(mount, own[controller] ?? "/")
      if isWritable(parent) { parents[controller] = parent }
    }
    guard parents["cpu"] != nil, parents["memory"] != nil, parents["pids"] != nil else { return .none }
    if let unified {
      let parent = directory(unified, own[""] ?? "/")
      if isWritable(parent) { parents["unified"] = parent }
    }
    return CgroupLayout(kind: .cgroup1, parents: parents)
  }

  /// Tried, not read from modes: a read-only mount and a missing privilege show only so.
  private static func isWritable(_ parent: String, file: String? = nil) -> Bool {
    let probe = "\(parent)/linnet-probe-\(getpid())-\(UInt32.random(in: .min ... .max))"
    guard mkdir(probe, 0o755) == 0 else { return false }
    defer { rmdir(probe) }
    guard let file else { return true }
    return access("\(probe)/\(file)", W_OK) == 0
  }

  private static func put(_ value: String, in path: String) -> Bool {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    return write(file, value, value.utf8.count) == value.utf8.count
  }

  private static func enable(_ parent: String) -> Bool {
    put("+cpu +memory +pids", in: "\(parent)/cgroup.subtree_control") && isWritable(parent, file: "memory.max")
  }

  /// The v2 group whose children can have limits: the daemon's own, when the daemon is alone in it and can step
  /// aside into a child, else one of our own below the mount's root.
  private static func delegated(_ mount: CgroupMount, own: String) -> String? {
    var parent = directory(mount, own)
    if parent.hasSuffix("/" + daemonGroup) { parent = String(parent.dropLast(daemonGroup.count + 1)) }
    let controllers = Set((FileAccess.text("\(parent)/cgroup.controllers") ?? "").split { $0 == " " || $0 == "\n" })
    if controllers.isSuperset(of: ["cpu", "memory", "pids"]) {
      if enable(parent) { return parent }
      let members = (FileAccess.text("\(parent)/cgroup.procs") ?? "").split(separator: "\n")
      let leaf = "\(parent)/\(daemonGroup)"
      if members.allSatisfy({ $0 == "\(getpid())" }), mkdir(leaf, 0o755) == 0 || errno == EEXIST,
        put("0", in: "\(leaf)/cgroup.procs"), enable(parent)
      {
        return parent
      }
    }
    let root = mount.mountPoint
    guard put("+cpu +memory +pids", in: "\(root)/cgroup.subtree_control") else { return nil }
    let group = "\(root)/linnet"
    guard mkdir(group, 0o755) == 0 || errno == EEXIST, enable(group) else { return nil }
    return group
  }
}
