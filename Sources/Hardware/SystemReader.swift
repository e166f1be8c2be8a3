/// Reads kernel, distribution, hypervisor and container.
struct SystemReader {
  /// What firmware writes about itself, and whose hypervisor that is.
  private static let signatures: [(text: String, hypervisor: String)] = [
    ("vmware", "vmware"), ("virtualbox", "virtualbox"), ("innotek", "virtualbox"), ("xen", "xen"),
    ("microsoft corporation virtual", "hyper-v"), ("parallels", "parallels"), ("bhyve", "bhyve"),
    ("google compute", "kvm"), ("amazon ec2", "kvm"), ("openstack", "kvm"), ("kvm", "kvm"), ("qemu", "kvm"),
    ("digitalocean", "kvm"), ("hetzner", "kvm"), ("alibaba", "kvm"), ("apple virtualization", "apple"),
  ]

  let files: HostFiles

  func read(into facts: inout FactBook) -> SystemReport {
    var report = SystemReport()
    let release = "/proc/sys/kernel/osrelease"
    report.kernel = files.line(release)
    note("system.kernel", report.kernel, release, into: &facts)
    let distribution = "/etc/os-release"
    report.distribution = files.text(distribution)?.split(separator: "\n").compactMap { $0.pair("=") }
      .first { $0.key == "PRETTY_NAME" }
      .map { $0.value.filter { $0 != "\"" } }
    note("system.distribution", report.distribution, distribution, into: &facts)
    readMachine(&report, into: &facts)
    readContainer(&report, into: &facts)
    return report
  }

  private func note(_ what: String, _ value: String?, _ path: String, into facts: inout FactBook) {
    if value != nil {
      facts.read(what, from: path)
    } else if case .failure(let why) = files.read(path) {
      facts.miss(what, why)
    } else {
      facts.miss(what, "\(path): not in it")
    }
  }

  private func readMachine(_ report: inout SystemReport, into facts: inout FactBook) {
    let firmware = "/sys/class/dmi/id"
    let names = ["sys_vendor", "product_name"].compactMap { files.line("\(firmware)/\($0)") }
    if !names.isEmpty {
      report.machine = names.joined(separator: " ")
      facts.read("system.machine", from: firmware)
    } else if let model = files.line("/proc/device-tree/model") {
      report.machine = model.filter { $0 != "\0" }
      facts.read("system.machine", from: "/proc/device-tree/model")
    } else {
      facts.miss("system.machine", "\(firmware): no firmware tables on this machine")
    }

    if let type = files.line("/sys/hypervisor/type") {
      report.hypervisor = type
      return facts.read("system.hypervisor", from: "/sys/hypervisor/type")
    }
    let bios = ["bios_vendor", "board_vendor", "chassis_vendor"].compactMap { files.line("\(firmware)/\($0)") }
    let known = (names + bios).joined(separator: " ").lowercased()
    let hasFlag = files.text("/proc/cpuinfo").map { text in
      text.split(separator: "\n").lazy.filter { $0.hasPrefix("flags") }.first?.split(separator: " ").contains(
        "hypervisor")
    }
    if let signature = Self.signatures.first(where: { known.contains($0.text) }), hasFlag != .some(.some(false)) {
      report.hypervisor = signature.hypervisor
      return facts.read("system.hypervisor", from: firmware)
    }
    switch hasFlag {
    case .some(.some(true)):
      report.hypervisor = "unknown"
      facts.read("system.hypervisor", from: "/proc/cpuinfo")
    case .some(.some(false)):
      report.hypervisor = "none"
      facts.read("system.hypervisor", from: "/proc/cpuinfo")
    case .some(.none) where !known.isEmpty:
      report.hypervisor = "none"
      facts.read("system.hypervisor", from: firmware)
    default: facts.miss("system.hypervisor", "neither processor flags nor firmware tables tell")
    }
  }

  private func readContainer(_ report: inout SystemReport, into facts: inout FactBook) {
    // systemd's container interface, then what podman and docker leave; none is promised, so absence proves nothing.
    for (path, name) in [
      ("/run/systemd/container", nil), ("/run/.containerenv", "podman"), ("/.dockerenv", "docker"),
    ] as [(String, String?)] where files.exists(path) {
      report.container = name ?? files.line(path) ?? "unknown"
      return facts.read("system.container", from: path)
    }
  }
}
