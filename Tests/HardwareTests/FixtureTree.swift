import Foundation

@testable import Hardware

/// A root directory of the test's own, with the few files of `/proc` and `/sys` that it writes. Removed at the end.
final class FixtureTree {
  let root: String

  init() throws {
    root = NSTemporaryDirectory() + "linnet-hardware-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func write(_ path: String, _ text: String) throws {
    let file = root + path
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try text.write(toFile: file, atomically: false, encoding: .utf8)
  }

  func link(_ path: String, to target: String) throws {
    let file = root + path
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: target)
  }

  /// A PCI device; `kind` is its class, `driver` what is bound to it.
  func addPCI(_ address: String, kind: String = "0x030200", vendor: String, device: String, driver: String?) throws {
    let path = "/sys/bus/pci/devices/\(address)"
    try write("\(path)/class", kind + "\n")
    try write("\(path)/vendor", vendor + "\n")
    try write("\(path)/device", device + "\n")
    if let driver { try link("\(path)/driver", to: "../../../bus/pci/drivers/\(driver)") }
  }

  /// What the probe reports of this tree, by default without any NVML.
  func report(
    nvml: String = "/nonexistent/libnvidia-ml.so.1", diskPaths: [String] = ["/"],
    timeoutMicroseconds: UInt64 = 60_000_000
  ) -> HardwareReport {
    HardwareProbe(root: root, diskPaths: diskPaths, nvmlLibrary: nvml, timeoutMicroseconds: timeoutMicroseconds)
      .report()
  }

  func nvmlAnswer(_ library: String, timeoutMicroseconds: UInt64 = 60_000_000) -> NVMLProbe.Answer {
    NVMLProbe(library: library, executable: "/proc/self/exe", timeoutMicroseconds: timeoutMicroseconds).ask()
  }
}

extension HardwareReport {
  func why(_ what: String) -> String? { unread.first { $0.what == what }?.why }
  func source(_ what: String) -> String? { sources.first { $0.what == what }?.from }
  func gpu(_ address: String) -> GPUReport? { gpus.first { $0.pciAddress == address } }
}
