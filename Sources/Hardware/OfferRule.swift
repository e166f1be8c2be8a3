/// Whether a card can be offered now. Readers have already noted what they alone know; here is what follows from the
/// facts of any card.
///
/// 1. It must compute, and its vendor must be one whose cards this version hands to jobs.
/// 2. The driver by which jobs would use it must be bound to it.
/// 3. How much memory it has must be known, or that it shares the host's.
/// 4. Its memory must hold no uncorrected errors.
/// 5. Nobody else may compute on it.
/// 6. It must be whole: a card in MIG mode has instances instead.
struct OfferRule {
  /// Whether AMD's compute driver is there.
  let hasComputeKernelDriver: Bool
  let nvmlFailure: String?

  func judge(_ card: inout GPUReport) {
    if card.isCompute {
      card.reasons += driverReasons(card) + stateReasons(card)
    }
    card.offerable = card.isCompute && card.reasons.isEmpty
  }

  private func driverReasons(_ card: GPUReport) -> [String] {
    guard card.vendor == .nvidia || card.vendor == .amd else {
      return ["only NVIDIA's and AMD's cards are handed to jobs by this version"]
    }
    let wanted = card.vendor == .nvidia ? "nvidia" : "amdgpu"
    switch card.driver {
    case nil: return ["no driver is bound to it: install \(wanted)"]
    case "vfio-pci"?: return ["it is set aside for a virtual machine (vfio-pci)"]
    case wanted?: break
    case let other?: return ["the driver \(other) is bound to it, and jobs need \(wanted)"]
    }
    if card.vendor == .amd, !hasComputeKernelDriver { return ["the compute driver is missing (no /sys/class/kfd)"] }
    return []
  }

  private func stateReasons(_ card: GPUReport) -> [String] {
    guard card.vendor == .nvidia || card.vendor == .amd else { return [] }
    var reasons: [String] = []
    if card.memoryTotalBytes == nil, card.isMemoryUnified != true, card.reasons.isEmpty {
      let why = card.vendor == .nvidia ? nvmlFailure.map { ": nvml: \($0)" } ?? "" : ""
      reasons.append("its memory is not known" + why)
    }
    if let errors = card.uncorrectedECCErrors, errors > 0 {
      reasons.append("bad memory: \(errors) uncorrected ECC errors since the driver was loaded")
    }
    if let processes = card.runningProcesses, processes > 0 {
      reasons.append("in use by \(processes) \(processes == 1 ? "process" : "processes")")
    }
    if card.isMIGEnabled == true {
      reasons.append("it is split by MIG, and instances are not offered by this version")
    }
    return reasons
  }
}
