import ArgumentParser
import Control
import Hardware

/// `linnet hardware`
struct HardwareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hardware", abstract: "Show what this host has: CPU, memory, disk, GPUs.",
    discussion: "Asks the node when one is named by a flag, else looks at this host; no daemon is needed.")

  @OptionGroup var connection: ConnectionOptions
  @OptionGroup var format: FormatOptions

  func run() async throws {
    let isNamed = connection.socket != nil || connection.node != nil || connection.dir != nil
    let report =
      isNamed
      ? try ControlJSON.decode(HardwareReport.self, from: try await connection.client().hardware().bytes)
      : HardwareProbe().report()
    if format.json { return try Console.print(json: report) }
    try Console.print(Self.render(report, style: Console.style))
  }

  static func render(_ report: HardwareReport, style: TextStyle) -> String {
    var fields = TextFields()
    fields.add("cpu", report.cpu.model ?? report.cpu.architecture ?? "unknown")
    fields.add("threads", count(report.cpu.allowedThreads ?? report.cpu.threads))
    fields.add("usable cpu", report.cpu.effectiveMilli.map { "\($0) milli" })
    fields.add("memory", report.memory.totalBytes.map(Quantity.size))
    fields.add("usable memory", report.memory.effectiveBytes.map(Quantity.size))
    for disk in report.disks {
      let free = disk.freeBytes.map(Quantity.size) ?? "unknown"
      fields.add("disk \(disk.path)", "\(free) free of \(disk.totalBytes.map(Quantity.size) ?? "unknown")")
    }
    fields.add("system", [report.system.distribution, report.system.kernel].compactMap { $0 }.joined(separator: ", "))
    fields.add("machine", [report.system.machine, report.system.hypervisor].compactMap { $0 }.joined(separator: ", "))
    fields.add("container", report.system.container)
    var text = fields.rendered(style: style)
    if report.gpus.isEmpty { return text + "no GPUs\n" }
    var table = TextTable([
      ("GPU", .left), ("NAME", .left), ("MEMORY", .right), ("DRIVER", .left), ("OFFERABLE", .left),
    ])
    for gpu in report.gpus {
      table.add([
        gpu.id, gpu.name ?? gpu.vendor.rawValue, gpu.memoryTotalBytes.map(Quantity.size) ?? "-",
        [gpu.driver, gpu.driverVersion].compactMap { $0 }.joined(separator: " "),
        gpu.offerable ? "yes" : "no: " + gpu.reasons.joined(separator: "; "),
      ])
    }
    text += "\n" + table.rendered(style: style)
    return text
  }

  private static func count(_ value: Int?) -> String? { value.map(String.init) }
}
