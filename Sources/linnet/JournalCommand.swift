import ArgumentParser
import Control
import FoundationEssentials
import Node

/// `linnet journal`
struct JournalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Look into a node's journal of votes.", subcommands: [Inspect.self])

  /// `linnet journal inspect DIR`
  struct Inspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print a journal, and check that no two own votes contradict each other.",
      discussion: """
        Reads the files alone and changes nothing, so it may be used while the daemon runs, after a crash, or on a \
        copy. Exits with 1 when own votes contradict each other.
        """)

    @Argument(help: "A node's data directory, or the directory that journal.directory of node.conf names.")
    var directory: String
    @OptionGroup var format: FormatOptions

    func run() async throws {
      let journal = try JournalInspection.inspect(directory)
      if format.json {
        try Console.print(json: journal)
      } else {
        try Console.print(Self.render(journal, style: Console.style))
      }
      guard let conflict = journal.conflicts.first else { return }
      throw Failure(
        "\(journal.conflicts.count) conflict(s) among the own votes in \(journal.directory): "
          + "in view \(conflict.view) of epoch \(conflict.epoch) \(conflict.text)",
        suggestion: "stop this node and keep its directory: its stake can be slashed, and no honest daemon does this")
    }

    static func render(_ journal: JournalInspection, style: TextStyle) -> String {
      var text = summary(journal, style: style)
      if !journal.segments.isEmpty {
        var table = TextTable([
          ("SEGMENT", .left), ("EPOCH", .right), ("BYTES", .right), ("RECORDS", .right), ("STATE", .left),
        ])
        for segment in journal.segments {
          table.add([
            segment.name, "\(segment.epoch)", "\(segment.bytes)", "\(segment.records)",
            segment.isLeftover ? "left over, no part of the content" : "-",
          ])
        }
        text += "\n" + table.rendered(style: style)
      }
      guard !journal.records.isEmpty else { return text }
      var table = TextTable([
        ("SEGMENT", .right), ("OFFSET", .right), ("RECORD", .left), ("EPOCH", .right), ("VIEW", .right),
        ("BLOCK", .left), ("WHAT", .left),
      ])
      for record in journal.records {
        table.add([
          "\(record.segment)", "\(record.offset)", name(record), record.epoch.map { "\($0)" } ?? "-",
          record.view.map { "\($0)" } ?? "-", record.block.map { String($0.prefix(12)) } ?? "-", details(record),
        ])
      }
      return text + "\n" + table.rendered(style: style)
    }

    private static func summary(_ journal: JournalInspection, style: TextStyle) -> String {
      var fields = TextFields()
      fields.add("journal", journal.directory)
      fields.add("network", journal.networkId)
      if journal.isMissing { fields.add("state", "missing: no segment is there") }
      fields.add(
        "records",
        "\(journal.counts.ownVotes) own votes, \(journal.counts.certificates) certificates, "
          + "\(journal.counts.certifiedBlocks) certified blocks"
          + (journal.counts.unreadable > 0 ? ", \(journal.counts.unreadable) that can't be read" : ""))
      if let offset = journal.tornOffset {
        fields.add(
          "torn tail",
          "\(journal.tornBytes) bytes from byte \(offset) of the last segment: they were not written whole, so nothing "
            + "that depends on them was sent. A daemon cuts them off; while one runs, it is writing them")
      }
      if let damage = journal.damage {
        fields.add("damage", "\(damage.kind) at byte \(damage.offset) of segment \(damage.segment): \(damage.meaning)")
        fields.add("then", damage.consequence)
      }
      fields.add("never voted", journal.neverVoted.map { $0 ? "yes: the marker is there" : "no" })
      if let reason = journal.abstains {
        let until = journal.abstainUntilMilliseconds.flatMap { $0 == .max ? nil : Double($0) / 1_000 }
        let end = until.map { "an epoch begins after \(Date(timeIntervalSince1970: $0).formatted(.iso8601))" }
        fields.add("abstains", "\(reason); until \(end ?? "a time that the next start sets")")
      }
      fields.add(
        "conflicts",
        journal.conflicts.isEmpty
          ? "none among the own votes"
          : journal.conflicts.map { "epoch \($0.epoch) view \($0.view): \($0.text)" }.joined(separator: "; "))
      return fields.rendered(style: style)
    }

    private static func name(_ record: JournalInspection.Record) -> String {
      switch record.kind {
      case "ownVote": "own vote"
      case "certified": "certified block"
      default: record.kind
      }
    }

    private static func details(_ record: JournalInspection.Record) -> String {
      switch record.kind {
      case "ownVote": "\(record.vote ?? "") as voter \(record.voter ?? 0)"
      case "certificate":
        "\(record.vote ?? "") signed by " + (record.signers ?? []).map(String.init).joined(separator: ",")
      case "certified": "height \(record.height ?? 0), \(record.transactions ?? 0) transactions"
      default: "-"
      }
    }
  }
}
