import ArgumentParser
import Glibc
import NetworkSwitch

extension TestnetCommand {
  /// `linnet testnet switch`, which `testnet up --hosts` and the benchmarks start.
  struct Switch: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Carry packets between TUN devices by rules, until told to stop.", shouldDisplay: false)

    @Option(help: ArgumentHelp("The Unix socket where it is told its rules.", valueName: "path")) var socket: String
    @Option(
      help: ArgumentHelp("A host: the TUN device to make and its addresses.", valueName: "device=address,..."))
    var port: [String]
    @Option(help: ArgumentHelp("What chance is drawn from.", valueName: "number")) var seed: UInt64 = 1

    func run() throws {
      let ports = try port.map { text in
        guard let port = SwitchPort(text) else { throw ValidationError("'\(text)' is not device=address,...") }
        return port
      }
      signal(SIGPIPE, SIG_IGN)
      try TunSwitch(ports: ports, socketPath: socket, seed: seed).run()
    }
  }
}
