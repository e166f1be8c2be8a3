/// What a host really has. A fact that is nil could not be read, and `unread` says why.
///
/// As JSON: camelCase, units in the names, absent facts left out.
package struct HardwareReport: Codable, Hashable, Sendable {
  /// Processors and how much of them this process may use.
  package var cpu: CPUReport
  /// Memory and how much of it this process may use.
  package var memory: MemoryReport
  /// The file systems of the paths that were asked about, in that order.
  package var disks: [DiskReport]
  /// The running system.
  package var system: SystemReport
  /// Every display or compute card, once, ordered by PCI address; those without one last.
  package var gpus: [GPUReport]
  /// Where each fact above came from.
  package var sources: [FactSource]
  /// What could not be read and why; not an error.
  package var unread: [UnreadFact]
}

/// Where one fact came from.
package struct FactSource: Codable, Hashable, Sendable {
  /// Path of the fact in the report, such as `cpu.model` or `gpus[0000:01:00.0].name`.
  package let what: String
  /// A file, `nvml`, or a system call.
  package let from: String
}

/// One fact that could not be read.
package struct UnreadFact: Codable, Hashable, Sendable {
  /// Path of the fact in the report, or the name of the source as a whole.
  package let what: String
  /// Why, for a person.
  package let why: String
}

/// Processors.
package struct CPUReport: Codable, Hashable, Sendable {
  /// As the kernel names the instruction set: `x86_64`, `aarch64`.
  package var architecture: String?
  /// The maker's name for it.
  package var model: String?
  /// Physical packages.
  package var sockets: Int?
  /// Physical cores of all packages.
  package var cores: Int?
  /// Hardware threads that are online.
  package var threads: Int?
  /// Those of `CPUReader.flagsOfInterest` that every thread has, in that order.
  package var flags: [String] = []
  /// Threads that this process's affinity allows.
  package var allowedThreads: Int?
  /// The least cgroup quota around this process, in thousandths of a core; nil is no quota.
  package var quotaMilli: Int?
  /// What this process can really use, in thousandths of a core: the least of the above.
  package var effectiveMilli: Int?
}

/// Memory, in bytes.
package struct MemoryReport: Codable, Hashable, Sendable {
  /// All that the kernel manages.
  package var totalBytes: UInt64?
  /// What can be had without swapping.
  package var availableBytes: UInt64?
  /// The least cgroup limit around this process; nil is no limit.
  package var limitBytes: UInt64?
  /// What this process can really use: the lesser of total and limit.
  package var effectiveBytes: UInt64?
}

/// The file system that holds a path.
package struct DiskReport: Codable, Hashable, Sendable {
  /// The path that was asked about.
  package var path: String
  /// The nearest directory at or above it that exists, which was measured.
  package var measuredPath: String?
  /// The block device, where there is one.
  package var device: String?
  /// Size of the file system.
  package var totalBytes: UInt64?
  /// What an unprivileged process can still write.
  package var freeBytes: UInt64?
  /// Whether it is on a spinning disk.
  package var isRotational: Bool?
}

/// The running system.
package struct SystemReport: Codable, Hashable, Sendable {
  /// Kernel release.
  package var kernel: String?
  /// The distribution's name for itself.
  package var distribution: String?
  /// The hypervisor below: `kvm`, `vmware`, `xen`, ..., `unknown` when there is one without a name, `none` on bare
  /// metal.
  package var hypervisor: String?
  /// The machine's maker and model as its firmware tells them.
  package var machine: String?
  /// The container runtime around this process, as far as it shows itself.
  package var container: String?
}

/// One display or compute card.
package struct GPUReport: Codable, Hashable, Sendable {
  /// Who made a card.
  package enum Vendor: String, Codable, Hashable, Sendable {
    case nvidia, amd, intel, other
  }

  /// The UUID where there is one, else the PCI address, else the name of its device: stable on this host.
  package var id: String
  /// By the PCI vendor id.
  package var vendor: Vendor
  /// `domain:bus:device.function`, lower case.
  package var pciAddress: String?
  /// PCI vendor and device id as `10de:2330`.
  package var pciID: String?
  /// The maker's name for it.
  package var name: String?
  /// The maker's id of this very card.
  package var uuid: String?
  /// The kernel driver bound to it.
  package var driver: String?
  /// The driver's version.
  package var driverVersion: String?
  /// Newest CUDA that the driver takes, as `12.4`.
  package var cudaVersion: String?
  /// CUDA compute capability as `9.0`, or AMD's target as `gfx90a`.
  package var architecture: String?
  /// Its own memory.
  package var memoryTotalBytes: UInt64?
  /// What of it is free.
  package var memoryFreeBytes: UInt64?
  /// Whether it has no memory of its own and uses the host's.
  package var isMemoryUnified: Bool?
  /// At the chip.
  package var temperatureCelsius: Int?
  /// Drawn now.
  package var powerMilliwatts: Int?
  /// Most it may draw.
  package var powerLimitMilliwatts: Int?
  /// Clock of the multiprocessors.
  package var clockMegahertz: Int?
  /// Share of the last moments in which it worked.
  package var utilizationPercent: Int?
  /// Whether memory errors are corrected.
  package var isECCEnabled: Bool?
  /// Errors since the driver was loaded that could not be corrected.
  package var uncorrectedECCErrors: UInt64?
  /// The same over the card's life.
  package var uncorrectedECCErrorsLifetime: UInt64?
  /// Processes that compute on it now.
  package var runningProcesses: Int?
  /// Whether it is split into MIG instances.
  package var isMIGEnabled: Bool?
  /// Its MIG instances.
  package var migInstances: [MIGInstance] = []
  /// Device files that a job on it needs, beside the vendor's common ones.
  package var deviceNodes: [String] = []
  /// Whether it can compute at all; a virtual or management display cannot.
  package var isCompute = true
  /// Whether it can be offered to the network now.
  package var offerable = true
  /// Why not, one reason an element; empty when it can.
  package var reasons: [String] = []
}

/// A slice of a card that works as a card of its own.
package struct MIGInstance: Codable, Hashable, Sendable {
  /// The profile's name.
  package var name: String?
  /// What `CUDA_VISIBLE_DEVICES` takes.
  package var uuid: String?
  /// Its share of the memory.
  package var memoryTotalBytes: UInt64?
}
