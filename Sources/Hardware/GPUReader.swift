/// Finds every card once: NVML's answers and what the kernel shows, merged by PCI address.
struct GPUReader {
  static let maximumCards = 64

  let files: HostFiles

  func read(nvml: NVMLProbe.Answer, into facts: inout FactBook) -> [GPUReport] {
    var cards = GPUTable()
    let pci = PCIReader(files: files)
    pci.read(into: &cards)
    DRMReader(files: files).read(into: &cards)
    AMDReader(files: files).read(into: &cards)
    NVIDIADriverReader(files: files).read(into: &cards)
    NVMLReader(answer: nvml).read(into: &cards)
    if let failure = nvml.failure { cards.facts.miss("nvml", failure) }
    if !files.exists(PCIReader.base) { cards.facts.miss("gpus", "\(PCIReader.base): no such directory") }

    let kept = cards.rows.sorted { ($0.pciAddress ?? "~", $0.id) < ($1.pciAddress ?? "~", $1.id) }
    for source in cards.facts.sources { facts.read(source.what, from: source.from) }
    for unread in cards.facts.unread { facts.miss(unread.what, unread.why) }
    return kept.prefix(Self.maximumCards).map { card in
      var card = card
      if let uuid = card.uuid { card.id = uuid }
      card.deviceNodes.sort()
      OfferRule(hasComputeKernelDriver: files.exists("/sys/class/kfd/kfd"), nvmlFailure: nvml.failure).judge(&card)
      return card
    }
  }
}

/// The cards found so far, each with what is known of it.
struct GPUTable {
  private(set) var rows: [GPUReport] = []
  var facts = FactBook()

  /// The card at an address, made when it is new. Nil when the address is none.
  func index(of address: String) -> Int? { rows.firstIndex { $0.pciAddress == address } }

  mutating func insert(address: String, vendor: GPUReport.Vendor) -> Int {
    if let index = index(of: address) { return index }
    rows.append(GPUReport(id: address, vendor: vendor, pciAddress: address))
    return rows.count - 1
  }

  /// A card that sits on no PCI bus.
  mutating func insert(device: String, vendor: GPUReport.Vendor) -> Int {
    rows.append(GPUReport(id: device, vendor: vendor))
    return rows.count - 1
  }

  /// Sets a fact of a card and notes its source. A nil value leaves what was known.
  mutating func set<Value>(
    _ place: WritableKeyPath<GPUReport, Value?>, of index: Int, to value: Value?, _ name: String, from source: String
  ) {
    guard let value else { return }
    rows[index][keyPath: place] = value
    facts.read("gpus[\(rows[index].id)].\(name)", from: source)
  }

  mutating func miss(_ index: Int, _ name: String, _ why: String) {
    facts.miss("gpus[\(rows[index].id)].\(name)", why)
  }

  mutating func addReason(_ index: Int, _ reason: String) {
    if !rows[index].reasons.contains(reason) { rows[index].reasons.append(reason) }
  }

  mutating func addNode(_ index: Int, _ node: String) {
    if !rows[index].deviceNodes.contains(node) { rows[index].deviceNodes.append(node) }
  }

  mutating func markNotCompute(_ index: Int) { rows[index].isCompute = false }

  mutating func setMIGInstances(_ index: Int, _ instances: [MIGInstance]) { rows[index].migInstances = instances }

  /// `domain:bus:device.function` as the kernel writes it, from any width of the domain; nil when it is none.
  static func canonical(_ address: some StringProtocol) -> String? {
    let parts = address.lowercased().split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let domain = UInt32(parts[0], radix: 16), let bus = UInt8(parts[1], radix: 16) else {
      return nil
    }
    let ends = parts[2].split(separator: ".", omittingEmptySubsequences: false)
    guard (1...2).contains(ends.count), let device = UInt8(ends[0], radix: 16), device < 32 else { return nil }
    let function = ends.count == 2 ? UInt8(ends[1], radix: 16) : 0
    guard let function, function < 8 else { return nil }
    return "\(hex(domain, 4)):\(hex(UInt32(bus), 2)):\(hex(UInt32(device), 2)).\(function)"
  }

  static func hex(_ number: UInt32, _ width: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
