/// AMD's cards by the files of amdgpu, and by the compute driver's topology (KFD).
struct AMDReader {
  private static let topology = "/sys/class/kfd/kfd/topology/nodes"

  let files: HostFiles

  func read(into cards: inout GPUTable) {
    for index in cards.rows.indices where cards.rows[index].vendor == .amd {
      if let address = cards.rows[index].pciAddress { readDevice(address, index, &cards) }
    }
    for node in files.list(Self.topology) { readNode("\(Self.topology)/\(node)", &cards) }
  }

  private func readDevice(_ address: String, _ index: Int, _ cards: inout GPUTable) {
    let path = "\(PCIReader.base)/\(address)"
    let names = ["product_name", "product_number"].map { "\(path)/\($0)" }
    if let source = names.first(where: { files.line($0) != nil }) {
      cards.set(\.name, of: index, to: files.line(source), "name", from: source)
    }
    cards.set(\.uuid, of: index, to: files.line("\(path)/unique_id"), "uuid", from: "\(path)/unique_id")
    let total = files.number("\(path)/mem_info_vram_total")
    cards.set(\.memoryTotalBytes, of: index, to: total, "memoryTotalBytes", from: "\(path)/mem_info_vram_total")
    if let total, let used = files.number("\(path)/mem_info_vram_used"), used <= total {
      cards.set(
        \.memoryFreeBytes, of: index, to: total - used, "memoryFreeBytes", from: "\(path)/mem_info_vram_used")
    }
    let busy = "\(path)/gpu_busy_percent"
    cards.set(
      \.utilizationPercent, of: index, to: files.number(busy).flatMap { Int(exactly: $0) }, "utilizationPercent",
      from: busy)
    for name in files.list("\(path)/hwmon").prefix(1) {
      let sensors = "\(path)/hwmon/\(name)"
      cards.set(
        \.temperatureCelsius, of: index, to: files.number("\(sensors)/temp1_input").flatMap { Int(exactly: $0 / 1000) },
        "temperatureCelsius", from: "\(sensors)/temp1_input")
      let power = ["power1_average", "power1_input"].map { "\(sensors)/\($0)" }
      if let source = power.first(where: { files.number($0) != nil }) {
        cards.set(
          \.powerMilliwatts, of: index, to: files.number(source).flatMap { Int(exactly: $0 / 1000) },
          "powerMilliwatts", from: source)
      }
    }
    // "ue: N" and "ce: N": errors that could not, and that could, be corrected.
    let errors = "\(path)/ras/umc_err_count"
    if let text = files.text(errors),
      let line = text.split(separator: "\n").compactMap({ $0.pair(":") }).first(where: { $0.key == "ue" })
    {
      cards.set(\.uncorrectedECCErrors, of: index, to: UInt64(line.value), "uncorrectedECCErrors", from: errors)
    }
  }

  /// A node of the compute topology; processors are nodes too, without SIMD units.
  private func readNode(_ path: String, _ cards: inout GPUTable) {
    var properties: [String: UInt64] = [:]
    for line in (files.text("\(path)/properties") ?? "").split(separator: "\n") {
      if let (key, value) = line.pair(" "), let number = UInt64(value) { properties[key] = number }
    }
    guard properties["simd_count"] ?? 0 > 0, let location = properties["location_id"] else { return }
    let domain = properties["domain"] ?? 0
    // location_id is bus << 8 | device << 3 | function, as everywhere in the kernel.
    let address =
      "\(GPUTable.hex(UInt32(truncatingIfNeeded: domain), 4)):"
      + "\(GPUTable.hex(UInt32(truncatingIfNeeded: location >> 8 & 0xFF), 2)):"
      + "\(GPUTable.hex(UInt32(truncatingIfNeeded: location >> 3 & 0x1F), 2)).\(location & 7)"
    let index: Int
    if let known = cards.index(of: address) {
      index = known
    } else {
      guard cards.rows.count < GPUReader.maximumCards else { return }
      index = cards.insert(address: address, vendor: .amd)
    }
    let source = "\(path)/properties"
    if let target = properties["gfx_target_version"], target > 0 {
      // 90010 is gfx90a: the stepping is a hexadecimal digit.
      let name = "gfx\(target / 10000)\(target / 100 % 100)" + String(target % 100, radix: 16)
      cards.set(\.architecture, of: index, to: name, "architecture", from: source)
    }
    if let minor = properties["drm_render_minor"], minor > 0 { cards.addNode(index, "/dev/dri/renderD\(minor)") }
    if cards.rows[index].name == nil {
      cards.set(\.name, of: index, to: files.line("\(path)/name"), "name", from: "\(path)/name")
    }
    guard cards.rows[index].memoryTotalBytes == nil else { return }
    var total: UInt64 = 0
    for bank in files.list("\(path)/mem_banks") {
      for line in (files.text("\(path)/mem_banks/\(bank)/properties") ?? "").split(separator: "\n") {
        guard let (key, value) = line.pair(" "), key == "size_in_bytes", let size = UInt64(value) else { continue }
        total = total.addingReportingOverflow(size).overflow ? total : total + size
      }
    }
    if total > 0 {
      cards.set(\.memoryTotalBytes, of: index, to: total, "memoryTotalBytes", from: "\(path)/mem_banks")
    } else {
      cards.set(\.isMemoryUnified, of: index, to: true, "isMemoryUnified", from: "\(path)/mem_banks")
    }
  }
}
