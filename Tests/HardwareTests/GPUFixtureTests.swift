import Testing

@testable import Hardware

@Suite("Cards by the kernel's files")
struct GPUFixtureTests {
  @Test("NVIDIA without NVML: name and id from the driver's files, not offered, with the reason")
  func nvidiaWithoutNVML() throws {
    let tree = try FixtureTree()
    try tree.addPCI("0000:01:00.0", vendor: "0x10de", device: "0x20b5", driver: "nvidia")
    try tree.write(
      "/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC\n")
    try tree.write(
      "/proc/driver/nvidia/gpus/0000:01:00.0/information",
      "Model: \t\t NVIDIA A100 80GB PCIe\nGPU UUID: \t GPU-1234\nBus Location: \t 0000:01:00.0\nDevice Minor: \t 3\n")
    let report = tree.report()
    #expect(report.gpus.count == 1)
    let card = try #require(report.gpus.first)
    #expect(card.name == "NVIDIA A100 80GB PCIe" && card.uuid == "GPU-1234" && card.id == "GPU-1234")
    #expect(card.driverVersion == "535.104.05" && card.deviceNodes == ["/dev/nvidia3"])
    #expect(!card.offerable && card.isCompute)
    #expect(card.reasons.first?.contains("its memory is not known: nvml: /nonexistent/libnvidia-ml.so.1") == true)
  }

  @Test("drivers that do not serve jobs: none, nouveau, vfio")
  func otherDrivers() throws {
    let tree = try FixtureTree()
    try tree.addPCI("0000:01:00.0", vendor: "0x10de", device: "0x1", driver: nil)
    try tree.addPCI("0000:02:00.0", vendor: "0x10de", device: "0x1", driver: "nouveau")
    try tree.addPCI("0000:03:00.0", vendor: "0x10de", device: "0x1", driver: "vfio-pci")
    try tree.addPCI("0000:04:00.0", vendor: "0x8086", device: "0x56c0", driver: "i915")
    try tree.link("/sys/class/drm/card2/device", to: "../../../bus/pci/devices/0000:04:00.0")
    try tree.write("/sys/bus/pci/devices/0000:04:00.0/uevent", "DRIVER=i915\nPCI_SLOT_NAME=0000:04:00.0\n")
    try tree.write("/sys/class/drm/card2/lmem_total_bytes", "0x400000000\n")
    let report = tree.report()
    for (address, part) in [
      ("0000:01:00.0", "no driver is bound"), ("0000:02:00.0", "nouveau"), ("0000:03:00.0", "virtual machine"),
      ("0000:04:00.0", "only NVIDIA's and AMD's"),
    ] {
      let card = try #require(report.gpu(address))
      #expect(!card.offerable && card.reasons.contains { $0.contains(part) }, "\(card.reasons)")
    }
    let intel = try #require(report.gpu("0000:04:00.0"))
    #expect(intel.vendor == .intel && intel.memoryTotalBytes == 16 << 30 && intel.deviceNodes == ["/dev/dri/card2"])
  }

  @Test("AMD: amdgpu's files and the compute topology make one card; the processor's node makes none")
  func amd() throws {
    let tree = try FixtureTree()
    let path = "/sys/bus/pci/devices/0000:c1:00.0"
    try tree.addPCI("0000:c1:00.0", kind: "0x038000", vendor: "0x1002", device: "0x740f", driver: "amdgpu")
    try tree.write("\(path)/mem_info_vram_total", "68702699520\n")
    try tree.write("\(path)/mem_info_vram_used", "702699520\n")
    try tree.write("\(path)/gpu_busy_percent", "3\n")
    try tree.write("\(path)/unique_id", "9f1a2b\n")
    try tree.write("\(path)/product_name", "AMD Instinct MI210\n")
    try tree.write("\(path)/hwmon/hwmon3/temp1_input", "41000\n")
    try tree.write("\(path)/hwmon/hwmon3/power1_average", "43000000\n")
    try tree.write("\(path)/ras/umc_err_count", "ue: 0\nce: 12\n")
    try tree.write("\(path)/drm/renderD129/dev", "226:129\n")
    try tree.write(
      "/sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\nsimd_count 0\nlocation_id 0\n")
    try tree.write(
      "/sys/class/kfd/kfd/topology/nodes/1/properties",
      "simd_count 416\nlocation_id 49408\ndomain 0\ngfx_target_version 90010\ndrm_render_minor 129\n")
    let report = tree.report()
    #expect(report.gpus.count == 1)
    let card = try #require(report.gpu("0000:c1:00.0"))
    #expect(card.offerable, "\(card.reasons)")
    #expect(card.vendor == .amd && card.name == "AMD Instinct MI210" && card.architecture == "gfx90a")
    #expect(card.memoryTotalBytes == 68_702_699_520 && card.memoryFreeBytes == 68_000_000_000)
    #expect(card.temperatureCelsius == 41 && card.powerMilliwatts == 43000 && card.utilizationPercent == 3)
    #expect(card.uncorrectedECCErrors == 0 && card.uuid == "9f1a2b" && card.deviceNodes == ["/dev/dri/renderD129"])

    try tree.write("\(path)/ras/umc_err_count", "ue: 2\nce: 12\n")
    #expect(tree.report().gpus.first?.reasons == ["bad memory: 2 uncorrected ECC errors since the driver was loaded"])
  }

  @Test("AMD without its compute driver; and by the topology alone")
  func amdHalves() throws {
    let tree = try FixtureTree()
    try tree.addPCI("0000:03:00.0", kind: "0x030000", vendor: "0x1002", device: "0x1", driver: "amdgpu")
    try tree.write("/sys/bus/pci/devices/0000:03:00.0/mem_info_vram_total", "1000\n")
    #expect(tree.report().gpus.first?.reasons.first?.contains("no /sys/class/kfd") == true)

    let alone = try FixtureTree()
    let node = "/sys/class/kfd/kfd/topology/nodes/1"
    try alone.write("\(node)/properties", "simd_count 4\nlocation_id 768\ngfx_target_version 110000\n")
    try alone.write("\(node)/mem_banks/0/properties", "heap_type 1\nsize_in_bytes 1024\n")
    let card = try #require(alone.report().gpu("0000:03:00.0"))
    #expect(card.architecture == "gfx1100" && card.memoryTotalBytes == 1024 && card.vendor == .amd)
    #expect(!card.offerable)
  }

  @Test("virtual and management displays are listed and marked, other devices are not listed")
  func displays() throws {
    let tree = try FixtureTree()
    try tree.addPCI("0000:00:02.0", kind: "0x030000", vendor: "0x1234", device: "0x1111", driver: "bochs-drm")
    try tree.addPCI("0000:06:00.0", kind: "0x030000", vendor: "0x1a03", device: "0x2000", driver: "ast")
    try tree.addPCI("0000:07:00.0", kind: "0x020000", vendor: "0x10de", device: "0x1", driver: nil)
    try tree.addPCI("0000:08:00.0", kind: "0x120000", vendor: "0x1002", device: "0x74a1", driver: nil)
    try tree.addPCI("0000:09:00.0", kind: "0x120000", vendor: "0x1d0f", device: "0x1", driver: nil)
    let report = tree.report()
    #expect(report.gpus.map(\.pciAddress) == ["0000:00:02.0", "0000:06:00.0", "0000:08:00.0"])
    #expect(report.gpus.map(\.isCompute) == [false, false, true])
    #expect(report.gpus.allSatisfy { !$0.offerable && !$0.reasons.isEmpty })
    #expect(report.gpus[0].reasons == ["shows a picture and cannot compute (QEMU's display)"])
  }

  @Test("a card on no PCI bus")
  func platformCard() throws {
    let tree = try FixtureTree()
    try tree.write("/sys/class/drm/card0/device/uevent", "DRIVER=panfrost\nOF_COMPATIBLE_0=arm,mali-t860\n")
    try tree.write("/sys/class/drm/card0-HDMI-A-1/status", "connected\n")
    let report = tree.report()
    #expect(report.gpus.map(\.id) == ["card0"])
    #expect(report.gpus.first?.name == "arm,mali-t860" && report.gpus.first?.offerable == false)
  }

  @Test("addresses of any width are brought to one form")
  func addresses() {
    #expect(GPUTable.canonical("00000000:3A:00.0") == "0000:3a:00.0")
    #expect(GPUTable.canonical("10001:01:1f.7") == "10001:01:1f.7")
    for text in ["", "0:0", "0000:00:20.0", "0000:00:00.8", "0000:100:00.0", "x:00:00.0", "0000:00:00.0.0", "-1:0:0.0"]
    {
      #expect(GPUTable.canonical(text) == nil, "\(text)")
    }
  }
}
