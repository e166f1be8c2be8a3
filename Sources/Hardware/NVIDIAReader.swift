/// NVIDIA's cards by the files of the kernel driver; all there is when NVML does not answer.
struct NVIDIADriverReader {
  private static let base = "/proc/driver/nvidia"

  let files: HostFiles

  func read(into cards: inout GPUTable) {
    let version = driverVersion()
    for name in files.list("\(Self.base)/gpus") {
      guard let address = GPUTable.canonical(name) else { continue }
      guard cards.index(of: address) != nil || cards.rows.count < GPUReader.maximumCards else { return }
      let index = cards.insert(address: address, vendor: .nvidia)
      let path = "\(Self.base)/gpus/\(name)/information"
      for line in (files.text(path) ?? "").split(separator: "\n") {
        guard let (key, value) = line.pair(":"), !value.isEmpty else { continue }
        switch key {
        case "Model": cards.set(\.name, of: index, to: value, "name", from: path)
        // The driver shows question marks for a card that it has not started yet.
        case "GPU UUID" where !value.contains("?"): cards.set(\.uuid, of: index, to: value, "uuid", from: path)
        case "Device Minor": if let minor = UInt8(value) { cards.addNode(index, "/dev/nvidia\(minor)") }
        default: break
        }
      }
      cards.set(\.driverVersion, of: index, to: version, "driverVersion", from: "\(Self.base)/version")
    }
  }

  /// The first word of the first line that looks like `535.104.05`.
  private func driverVersion() -> String? {
    files.line("\(Self.base)/version")?.split(separator: " ").first { word in
      word.contains(".") && word.allSatisfy { $0 == "." || ("0"..."9").contains($0) }
    }.map(String.init)
  }
}

/// Puts NVML's answers onto the cards.
struct NVMLReader {
  private static let source = "nvml"
  /// nvmlComputeMode_t
  private static let computeProhibited = 2

  let answer: NVMLProbe.Answer

  func read(into cards: inout GPUTable) {
    for (key, why) in answer.system.unread {
      cards.facts.miss(key == "cuda" ? "gpus[nvidia].cudaVersion" : "gpus[nvidia].driverVersion", "nvml: \(why)")
    }
    for card in answer.cards {
      guard let index = place(card, in: &cards) else { continue }
      readIdentity(card, index, &cards)
      readState(card, index, &cards)
      for (key, why) in card.facts.unread where key != "handle" {
        cards.miss(index, Self.names[key] ?? key, "nvml: \(why)")
      }
      judge(card, index, &cards)
    }
  }

  /// The report's names of the probe's keys.
  private static let names = [
    "pci": "pciAddress", "memory-total": "memoryTotalBytes", "memory-free": "memoryFreeBytes",
    "capability": "architecture", "temperature": "temperatureCelsius", "power": "powerMilliwatts",
    "power-limit": "powerLimitMilliwatts", "clock": "clockMegahertz", "utilization": "utilizationPercent",
    "ecc": "isECCEnabled", "ecc-errors": "uncorrectedECCErrors",
    "ecc-errors-lifetime": "uncorrectedECCErrorsLifetime", "processes": "runningProcesses",
    "mig-mode": "isMIGEnabled", "mig-instances": "migInstances", "minor": "deviceNodes",
    "remap-pending": "remappedRows", "retired-pending": "retiredPages", "compute-mode": "computeMode",
  ]

  private func place(_ card: NVMLProbe.Card, in cards: inout GPUTable) -> Int? {
    if let address = card.facts.values["pci"].flatMap({ GPUTable.canonical($0) }) {
      return cards.insert(address: address, vendor: .nvidia)
    }
    let name = "nvml-\(card.index)"
    if let uuid = card.facts.values["uuid"], let known = cards.rows.firstIndex(where: { $0.uuid == uuid }) {
      return known
    }
    // A card that does not answer has no address here, so it cannot be told which of the kernel's it is. When just
    // one is unaccounted for, it is that one; else it is listed by its number.
    let claimed = Set(answer.cards.compactMap { $0.facts.values["pci"].flatMap { GPUTable.canonical($0) } })
    let open = cards.rows.indices.filter { index in
      cards.rows[index].vendor == .nvidia && cards.rows[index].pciAddress.map { !claimed.contains($0) } == true
    }
    let silent = answer.cards.count { $0.facts.values["pci"] == nil }
    if open.count == 1, silent == 1 { return open[0] }
    guard open.count < silent else {
      cards.facts.miss("gpus[\(name)]", failure(of: card) ?? "nvml gave no address for it")
      return nil
    }
    return cards.insert(device: name, vendor: .nvidia)
  }

  private func failure(of card: NVMLProbe.Card) -> String? {
    if let handle = card.facts.unread.first(where: { $0.key == "handle" }) { return "broken: \(handle.why)" }
    return card.wasCutShort ? "broken: \(answer.failure ?? "the probe ended at it")" : nil
  }

  private func readIdentity(_ card: NVMLProbe.Card, _ index: Int, _ cards: inout GPUTable) {
    let facts = card.facts
    func set<Value>(_ place: WritableKeyPath<GPUReport, Value?>, _ value: Value?, _ name: String) {
      cards.set(place, of: index, to: value, name, from: Self.source)
    }
    set(\.name, facts.values["name"], "name")
    set(\.uuid, facts.values["uuid"], "uuid")
    set(\.driverVersion, answer.system.values["driver"], "driverVersion")
    set(\.cudaVersion, answer.system.values["cuda"], "cudaVersion")
    set(\.architecture, facts.values["capability"], "architecture")
    if cards.rows[index].driver == nil { set(\.driver, "nvidia", "driver") }
    if let minor: UInt8 = facts.number("minor") { cards.addNode(index, "/dev/nvidia\(minor)") }
    let total: UInt64? = facts.number("memory-total")
    let isUnified = total == 0 || facts.unread.contains { $0.key == "memory-total" && $0.why.contains("error 3)") }
    if isUnified {
      set(\.isMemoryUnified, true, "isMemoryUnified")
    } else {
      set(\.memoryTotalBytes, total, "memoryTotalBytes")
      set(\.memoryFreeBytes, facts.number("memory-free"), "memoryFreeBytes")
    }
  }

  private func readState(_ card: NVMLProbe.Card, _ index: Int, _ cards: inout GPUTable) {
    let facts = card.facts
    func set<Value>(_ place: WritableKeyPath<GPUReport, Value?>, _ value: Value?, _ name: String) {
      cards.set(place, of: index, to: value, name, from: Self.source)
    }
    set(\.temperatureCelsius, facts.number("temperature"), "temperatureCelsius")
    set(\.powerMilliwatts, facts.number("power"), "powerMilliwatts")
    set(\.powerLimitMilliwatts, facts.number("power-limit"), "powerLimitMilliwatts")
    set(\.clockMegahertz, facts.number("clock"), "clockMegahertz")
    set(\.utilizationPercent, facts.number("utilization"), "utilizationPercent")
    set(\.isECCEnabled, facts.number("ecc").map { (value: Int) in value != 0 }, "isECCEnabled")
    set(\.uncorrectedECCErrors, facts.number("ecc-errors"), "uncorrectedECCErrors")
    set(\.uncorrectedECCErrorsLifetime, facts.number("ecc-errors-lifetime"), "uncorrectedECCErrorsLifetime")
    set(\.runningProcesses, facts.number("processes"), "runningProcesses")
    set(\.isMIGEnabled, facts.number("mig-mode").map { (value: Int) in value != 0 }, "isMIGEnabled")
    guard !card.migInstances.isEmpty else { return }
    cards.setMIGInstances(
      index,
      card.migInstances.map {
        MIGInstance(name: $0.values["name"], uuid: $0.values["uuid"], memoryTotalBytes: $0.number("memory-total"))
      })
    cards.facts.read("gpus[\(cards.rows[index].id)].migInstances", from: Self.source)
  }

  /// What only NVML knows of a card's health; the rest is `OfferRule`'s.
  private func judge(_ card: NVMLProbe.Card, _ index: Int, _ cards: inout GPUTable) {
    func number(_ key: String) -> Int { card.facts.number(key) ?? 0 }
    if let failure = failure(of: card) { cards.addReason(index, failure) }
    if number("remap-failed") != 0 { cards.addReason(index, "bad memory: a row could not be remapped") }
    if number("remap-pending") != 0 { cards.addReason(index, "bad memory: rows wait to be remapped; reset the card") }
    if number("retired-pending") != 0 { cards.addReason(index, "bad memory: pages wait to be retired; reset the card") }
    if number("compute-mode") == Self.computeProhibited {
      cards.addReason(index, "computing on it is prohibited (nvidia-smi -c)")
    }
  }
}
