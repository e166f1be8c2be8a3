import ArgumentParser
import Control
import NetworkSwitch
import Testnet

extension TestnetCommand {
  /// `linnet testnet net`
  struct Net: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show or change the network between the hosts of a lab.",
      discussion: """
        Without words, or with `show`: the rules in force and what each host sent. Else, several at once:

          delay 25ms   jitter 5ms   loss 20%   duplicate 1%   reorder 5%   rate 10mbit
          partition '1-6|7-12'   oneway '3>1,2'   deaf 4   mute 4   heal   clear
          address 5 10.78.1.105   kill 3   start 3

        The first line and `clear` are for all, or for --host or --pair alone. `heal` opens every path again, `clear` \
        takes the delays and the like back. `kill` is a crash. docs/lab.md says what each does.
        """)

    @OptionGroup var directory: DirectoryOptions
    @Option(help: ArgumentHelp("For what these hosts send and receive; repeatable.", valueName: "numbers"))
    var host: [String] = []
    @Option(
      help: ArgumentHelp("For the path between two hosts, '1>2' for one direction; repeatable.", valueName: "1,2"))
    var pair: [String] = []
    @OptionGroup var format: FormatOptions
    @Argument(help: "What to change.") var words: [String] = []

    func run() throws {
      let layout = directory.control.layout
      guard var lab = try Lab.load(layout) else {
        throw Failure(
          "there is no lab in \(layout.directory)", suggestion: "`linnet testnet up --hosts 4` makes one, as root")
      }
      let isShowing = words.isEmpty || words == ["show"]
      let state = try lab.tell(
        isShowing ? [] : words, hosts: host, pairs: pair, binary: try TestnetCommand.ownBinary())
      if format.json { return try Console.print(json: state) }
      var text = state.rules.lines.map { $0 + "\n" }.joined()
      if text.isEmpty { text = "every packet arrives at once\n" }
      if isShowing { text += "\n" + table(state) }
      try Console.print(text)
    }

    private func table(_ state: SwitchState) -> String {
      var table = TextTable([
        ("HOST", .right), ("ADDRESS", .left), ("SENT", .right), ("BYTES", .right), ("RECEIVED", .right),
        ("BYTES", .right), ("LOST", .right), ("BLOCKED", .right), ("FULL", .right),
      ])
      for host in state.hosts {
        table.add([
          "\(host.host)", host.addresses.joined(separator: " "), "\(host.sent.offeredPackets)",
          "\(host.sent.offeredBytes)", "\(host.received.carriedPackets)", "\(host.received.carriedBytes)",
          "\(host.received.lostPackets)", "\(host.received.blockedPackets)", "\(host.received.fullPackets)",
        ])
      }
      return table.rendered(style: Console.style)
    }
  }
}
