import Config
import Executor
import Hardware
import Wire

/// What a host offers: the `[offer]` section of node.conf, filled up by what the hardware probe found.
enum OfferBuilder {
  /// The driver that runs a program of the host's own system in bubblewrap.
  static let nativeDriver = "native"

  /// The offer; nil when the section is switched off.
  static func offer(
    _ section: NodeConfiguration.OfferSection, hardware: HardwareReport, isolation limits: LimitKind
  ) -> OfferTerms? {
    guard section.isEnabled else { return nil }
    let foundMilli = hardware.cpu.effectiveMilli ?? (hardware.cpu.threads ?? 1) * 1_000
    let foundMemory = hardware.memory.effectiveBytes ?? hardware.memory.totalBytes ?? 0
    let foundDisk = hardware.disks.first?.freeBytes ?? 0
    let gpus = section.gpus == .all ? offeredGPUs(hardware) : []
    return OfferTerms(
      resources: Resources(
        cpuMilli: UInt32(clamping: section.cpuMilli == 0 ? UInt64(max(0, foundMilli)) : section.cpuMilli),
        memoryBytes: section.memoryBytes == 0 ? foundMemory / 4 * 3 : section.memoryBytes,
        diskBytes: section.diskBytes == 0 ? foundDisk / 2 : section.diskBytes),
      gpus: gpus.prefix(GPUOffer.maximumCount).map {
        GPUOffer(
          vendor: bounded($0.vendor.rawValue), model: bounded($0.name ?? "unknown"),
          memoryBytes: $0.memoryTotalBytes ?? 0)
      },
      labels: Array(
        Label.canonical(section.labels.map { Label(key: bounded($0.key), value: bounded($0.value)) })
          .prefix(Label.maximumCount)),
      drivers: [nativeDriver], isolation: level(limits), maximumJobs: UInt16(clamping: section.maximumJobs),
      prices: Prices(
        cpuSecondMicrocredits: section.priceCPUSecondMicrocredits,
        memoryGiBSecondMicrocredits: section.priceMemoryGiBSecondMicrocredits,
        gpuSecondMicrocredits: section.priceGPUSecondMicrocredits),
      validUntilMilliseconds: 0)
  }

  /// The GPUs that can be leased: healthy compute devices.
  static func offeredGPUs(_ hardware: HardwareReport) -> [GPUReport] {
    hardware.gpus.filter { $0.offerable && $0.isCompute && !$0.deviceNodes.isEmpty }
  }

  private static func level(_ limits: LimitKind) -> Wire.Isolation {
    switch limits {
    case .cgroup2: .cgroup2
    case .cgroup1: .cgroup1
    case .rlimit: .rlimit
    }
  }

  private static func bounded(_ text: String) -> String {
    var result = ""
    for character in text where result.utf8.count + character.utf8.count <= Label.maximumBytes {
      result.append(character)
    }
    return result
  }
}
