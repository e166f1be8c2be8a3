/// The floor for any vendor: what the PCI bus says is a display controller or a processing accelerator.
struct PCIReader {
  static let base = "/sys/bus/pci/devices"

  /// Adapters that show a picture and cannot compute: of hypervisors, and of management controllers.
  private static let displayOnly: [UInt64: String] = [
    0x1013: "Cirrus Logic, as virtual machines have", 0x102b: "Matrox, as management controllers have",
    0x1234: "QEMU's display", 0x1414: "Hyper-V's display", 0x15ad: "VMware's display", 0x18ca: "XGI",
    0x19e5: "Huawei's management controller", 0x1a03: "ASPEED's management controller", 0x1af4: "virtio's display",
    0x1b36: "QXL, the display of virtual machines", 0x80ee: "VirtualBox's display", 0x5853: "Xen's display",
  ]

  let files: HostFiles

  func read(into cards: inout GPUTable) {
    for name in files.list(Self.base) {
      let path = "\(Self.base)/\(name)"
      guard let kind = files.number("\(path)/class"), let address = GPUTable.canonical(name) else { continue }
      let vendorID = files.number("\(path)/vendor") ?? 0
      let vendor = Self.vendor(vendorID)
      // 0x03: display controllers. 0x1200: accelerators, which some vendors' compute cards call themselves.
      guard kind >> 16 == 0x03 || (kind >> 8 == 0x1200 && vendor != .other) else { continue }
      guard cards.rows.count < GPUReader.maximumCards else {
        cards.facts.miss("gpus[\(address)]", "more than \(GPUReader.maximumCards) cards")
        return
      }
      let index = cards.insert(address: address, vendor: vendor)
      let device = files.number("\(path)/device")
      let pciID = device.map {
        "\(GPUTable.hex(UInt32(truncatingIfNeeded: vendorID), 4)):\(GPUTable.hex(UInt32(truncatingIfNeeded: $0), 4))"
      }
      cards.set(\.pciID, of: index, to: pciID, "pciID", from: path)
      cards.set(\.driver, of: index, to: files.linkName("\(path)/driver"), "driver", from: "\(path)/driver")
      for node in files.list("\(path)/drm") where node.hasPrefix("renderD") || node.hasPrefix("card") {
        cards.addNode(index, "/dev/dri/\(node)")
      }
      if let words = Self.displayOnly[vendorID] {
        cards.markNotCompute(index)
        cards.addReason(index, "shows a picture and cannot compute (\(words))")
      }
    }
  }

  static func vendor(_ id: UInt64) -> GPUReport.Vendor {
    switch id {
    case 0x10de: .nvidia
    case 0x1002: .amd
    case 0x8086: .intel
    default: .other
    }
  }
}

/// Cards by the kernel's graphics subsystem: adds those that sit on no PCI bus, and Intel's memory.
struct DRMReader {
  private static let base = "/sys/class/drm"

  let files: HostFiles

  func read(into cards: inout GPUTable) {
    for name in files.list(Self.base) where name.hasPrefix("card") && Int(name.dropFirst(4)) != nil {
      let path = "\(Self.base)/\(name)"
      var event: [String: String] = [:]
      for line in (files.text("\(path)/device/uevent") ?? "").split(separator: "\n") {
        if let (key, value) = line.pair("=") { event[key] = value }
      }
      let index: Int
      if let address = event["PCI_SLOT_NAME"].flatMap({ GPUTable.canonical($0) }) {
        guard let known = cards.index(of: address) else { continue }
        index = known
      } else {
        guard cards.rows.count < GPUReader.maximumCards else { return }
        index = cards.insert(device: name, vendor: .other)
        cards.set(\.driver, of: index, to: event["DRIVER"], "driver", from: "\(path)/device/uevent")
        cards.set(\.name, of: index, to: event["OF_COMPATIBLE_0"], "name", from: "\(path)/device/uevent")
      }
      cards.addNode(index, "/dev/dri/\(name)")
      for node in files.list("\(path)/device/drm") where node.hasPrefix("renderD") {
        cards.addNode(index, "/dev/dri/\(node)")
      }
      let local = "\(path)/lmem_total_bytes"
      cards.set(\.memoryTotalBytes, of: index, to: files.number(local), "memoryTotalBytes", from: local)
    }
  }
}
