import Testing

@testable import Hardware

@Suite("NVML in a child process")
struct NVMLTests {
  /// A tree with the PCI devices of the fake library's four cards.
  private func treeWithCards() throws -> FixtureTree {
    let tree = try FixtureTree()
    for bus in ["3a", "3b", "3c", "3d"] {
      try tree.addPCI("0000:\(bus):00.0", vendor: "0x10de", device: "0x2330", driver: "nvidia")
    }
    return tree
  }

  /// The report on a driver that hangs in `call`, within the least of these limits in which the probe gets there: how
  /// long its process takes to start is the host's affair.
  private func hanging(
    _ tree: FixtureTree, _ library: String, in call: String
  ) -> (report: HardwareReport, milliseconds: UInt64) {
    var milliseconds: UInt64 = 1_000
    while true {
      let report = tree.report(nvml: library, timeoutMicroseconds: milliseconds * 1_000)
      if report.why("nvml")?.contains(call) == true || milliseconds > 60_000 { return (report, milliseconds) }
      milliseconds *= 4
    }
  }

  @Test("four cards: healthy, split by MIG, bad and busy, lost; each listed once")
  func fourCards() throws {
    let tree = try treeWithCards()
    let report = tree.report(nvml: try FakeNVML.build(in: tree))
    #expect(report.gpus.map(\.pciAddress) == ["0000:3a:00.0", "0000:3b:00.0", "0000:3c:00.0", "0000:3d:00.0"])

    let healthy = try #require(report.gpu("0000:3a:00.0"))
    #expect(healthy.offerable && healthy.isCompute && healthy.reasons.isEmpty)
    #expect(healthy.id == "GPU-00000000" && healthy.name == "Fake GPU 0" && healthy.vendor == .nvidia)
    #expect(healthy.pciID == "10de:2330" && healthy.driver == "nvidia" && healthy.driverVersion == "550.54.15")
    #expect(healthy.cudaVersion == "12.4" && healthy.architecture == "9.0")
    #expect(healthy.memoryTotalBytes == 80 << 30 && healthy.memoryFreeBytes == 79 << 30)
    #expect(healthy.temperatureCelsius == 31 && healthy.powerMilliwatts == 70123 && healthy.clockMegahertz == 1980)
    #expect(healthy.utilizationPercent == 17 && healthy.isECCEnabled == true && healthy.uncorrectedECCErrors == 0)
    #expect(healthy.runningProcesses == 0 && healthy.deviceNodes == ["/dev/nvidia0"])
    #expect(report.source("gpus[0000:3a:00.0].memoryTotalBytes") == "nvml")
    // Not supported, and a function that this library lacks: normal answers.
    #expect(healthy.isMIGEnabled == nil)
    #expect(report.why("gpus[0000:3a:00.0].isMIGEnabled")?.contains("Not Supported (NVML error 3)") == true)
    #expect(report.why("gpus[0000:3a:00.0].powerLimitMilliwatts")?.contains("has no nvmlDeviceGetEnforced") == true)

    let split = try #require(report.gpu("0000:3b:00.0"))
    #expect(split.isMIGEnabled == true && !split.offerable && split.reasons.count == 1)
    #expect(split.migInstances.map(\.uuid) == ["MIG-00000000", "MIG-00000001"])
    #expect(split.migInstances.first?.memoryTotalBytes == 10 << 30)
    #expect(split.utilizationPercent == nil)

    let bad = try #require(report.gpu("0000:3c:00.0"))
    #expect(!bad.offerable && bad.uncorrectedECCErrors == 5 && bad.uncorrectedECCErrorsLifetime == 6)
    #expect(bad.runningProcesses == 2)
    for part in ["5 uncorrected ECC errors", "in use by 2 processes", "wait to be remapped"] {
      #expect(bad.reasons.contains { $0.contains(part) })
    }

    let lost = try #require(report.gpu("0000:3d:00.0"))
    #expect(!lost.offerable && lost.reasons == ["broken: GPU is lost (NVML error 15)"])
    #expect(report.why("nvml") == nil)
  }

  @Test("without the kernel's list the cards are listed by NVML alone, the lost one by its number")
  func nvmlAlone() throws {
    let tree = try FixtureTree()
    let report = tree.report(nvml: try FakeNVML.build(in: tree))
    #expect(report.gpus.map(\.id) == ["GPU-00000000", "GPU-00000001", "GPU-00000002", "nvml-3"])
    #expect(report.gpus.map(\.offerable) == [true, false, false, false])
  }

  @Test("an older library: memory by the first version, no MIG")
  func olderLibrary() throws {
    let tree = try treeWithCards()
    let report = tree.report(nvml: try FakeNVML.build(in: tree, "LACKS_MEMORY_V2", "LACKS_MIG"))
    let card = try #require(report.gpu("0000:3a:00.0"))
    #expect(card.memoryTotalBytes == 40 << 30 && card.memoryFreeBytes == 39 << 30 && card.offerable)
    #expect(report.why("gpus[0000:3a:00.0].isMIGEnabled")?.contains("has no nvmlDeviceGetMigMode") == true)
  }

  @Test("a card that shares the host's memory")
  func unifiedMemory() throws {
    let tree = try treeWithCards()
    let card = try #require(tree.report(nvml: try FakeNVML.build(in: tree, "MEMORY_UNIFIED")).gpu("0000:3a:00.0"))
    #expect(card.isMemoryUnified == true && card.memoryTotalBytes == nil && card.offerable)
  }

  @Test("a card on which computing is prohibited")
  func prohibited() throws {
    let tree = try treeWithCards()
    let card = try #require(tree.report(nvml: try FakeNVML.build(in: tree, "PROHIBITED")).gpu("0000:3a:00.0"))
    #expect(!card.offerable && card.reasons.first?.contains("prohibited") == true)
  }

  @Test("a call that hangs: what was learnt before stays, the rest says in which call it hung")
  func hungCall() throws {
    let tree = try treeWithCards()
    let library = try FakeNVML.build(in: tree, "MEMORY_HANGS")
    let (report, milliseconds) = hanging(tree, library, in: "nvmlDeviceGetMemoryInfo_v2")
    #expect(report.gpus.count == 4)
    #expect(report.gpu("0000:3a:00.0")?.offerable == true)
    let hung = try #require(report.gpu("0000:3b:00.0"))
    #expect(!hung.offerable && hung.uuid == "GPU-00000001")
    #expect(
      hung.reasons.first?.contains("no answer in nvmlDeviceGetMemoryInfo_v2 of card 1 within \(milliseconds) ms")
        == true)
    #expect(report.gpu("0000:3c:00.0")?.offerable == false)
    #expect(report.why("nvml")?.contains("the driver hangs") == true)
  }

  @Test("a driver that hangs from the start, and one that is not loaded")
  func noStart() throws {
    let tree = try treeWithCards()
    let (hung, milliseconds) = hanging(tree, try FakeNVML.build(in: tree, "INIT_HANGS"), in: "nvmlInit_v2")
    #expect(hung.why("nvml")?.contains("no answer in nvmlInit_v2 within \(milliseconds) ms") == true)
    #expect(hung.gpus.count == 4 && hung.gpus.allSatisfy { !$0.offerable })
    #expect(hung.gpus.first?.reasons.first?.contains("its memory is not known: nvml: no answer") == true)
    let absent = tree.report(nvml: try FakeNVML.build(in: tree, "INIT_FAILS"))
    #expect(absent.why("nvml") == "Driver Not Loaded (NVML error 9)")
    #expect(absent.gpus.count == 4 && absent.gpus.allSatisfy { !$0.offerable })
  }

  @Test("a library that crashes or ends the process is reported and harms nothing")
  func crash() throws {
    let tree = try treeWithCards()
    let crashed = tree.report(nvml: try FakeNVML.build(in: tree, "NAME_CRASHES"))
    #expect(crashed.why("nvml") == "the library crashed in nvmlDeviceGetName of card 1 by signal 6")
    #expect(crashed.gpu("0000:3a:00.0")?.offerable == true)
    #expect(crashed.gpu("0000:3b:00.0")?.reasons.first?.contains("crashed in nvmlDeviceGetName") == true)
    let ended = tree.report(nvml: try FakeNVML.build(in: tree, "NAME_EXITS"))
    #expect(ended.why("nvml") == "the library ended the probe in nvmlDeviceGetName of card 1 with exit code 7")
  }

  @Test("a library that writes without end, and one that writes what looks like our lines")
  func hostileOutput() throws {
    let tree = try treeWithCards()
    let flood = tree.report(nvml: try FakeNVML.build(in: tree, "NAME_FLOODS"))
    #expect(flood.why("nvml")?.contains("wrote more than") == true)
    let lies = tree.report(nvml: try FakeNVML.build(in: tree, "NAME_LIES"))
    #expect(lies.gpu("0000:3a:00.0")?.name == "Card?end=1?gpu=9?[2J")
    #expect(lies.gpus.count == 4)
  }

  @Test("no library, no NVML in it, no program: each its own reason")
  func absence() throws {
    let tree = try FixtureTree()
    #expect(tree.report().why("nvml")?.contains("cannot open shared object file") == true)
    let lacking = try FakeNVML.build(in: tree, "LACKS_HANDLE")
    #expect(tree.nvmlAnswer(lacking).failure?.contains("it is no NVML") == true)
    let missing = NVMLProbe(library: "x", executable: "/nonexistent/linnet", timeoutMicroseconds: 1_000_000).ask()
    #expect(missing.failure == "the probe could not be started: /nonexistent/linnet: No such file or directory")
    let other = NVMLProbe(library: "x", executable: "/bin/true", timeoutMicroseconds: 60_000_000).ask()
    #expect(other.failure?.contains("does not know its part") == true)
  }

  @Test("more cards than the bound are cut off")
  func manyCards() throws {
    let tree = try FixtureTree()
    let answer = tree.nvmlAnswer(try FakeNVML.build(in: tree, "COUNT=4000000000u"))
    #expect(answer.cards.count == NVMLProbe.maximumCards)
  }

  @Test("any lines are taken without a crash")
  func anyLines() {
    let pieces = [
      "gpu=", "mig=", "1", "-1", "99999999999999999999", "name=x", "\n", "=", ".unread=y", "pci=", "call=z", "end=1",
    ]
    var state: UInt64 = 11
    for _ in 0..<2000 {
      var text = "probe=1\n"
      for _ in 0..<20 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        text += pieces[Int(state >> 33) % pieces.count]
      }
      let answer = NVMLProbe.parse(text, ending: .exited(0), timeoutMicroseconds: 1)
      var cards = GPUTable()
      NVMLReader(answer: answer).read(into: &cards)
      #expect(cards.rows.count <= NVMLProbe.maximumCards)
    }
  }
}
