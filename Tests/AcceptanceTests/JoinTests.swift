import Foundation
import Testing

extension Acceptance {
  /// `linnet join` where it cannot: each reason has its exit code (docs/operating.md), and the host stays as it was.
  @Suite("joining", .serialized) struct Joining {
    init() throws { try Requirement.check() }

    @Test("an invite that leads nowhere is refused by its own exit code, and nothing is written") func refusals() throws
    {
      try LocalTestnet.with { net in
        let made = try net.linnet(1, "invite")
        #expect(made.code == 0, "\(made.described)")
        let invite = made.stdout.trimmingCharacters(in: .whitespacesAndNewlines)

        /// Joins as a new host, whose directory `prepare` may fill.
        func refused(
          _ code: Int32, _ words: String..., with invite: String, _ why: String,
          prepare: ((ScratchDirectory) throws -> Void)? = nil
        ) throws {
          let host = try ScratchDirectory()
          defer { host.remove() }
          try prepare?(host)
          let before = try contents(of: host.path)
          let command = [
            Requirement.binary, "join", invite, "--config", host.path + "/node.conf", "--data-directory", host.path,
          ]
          let outcome = try run(command, within: NetLab.patience)
          let said = outcome.stderr.split(separator: "\n").joined(separator: " / ")
          measured(why, "\(outcome.code): \(said)")
          #expect(outcome.code == code, "\(why): \(outcome.described)")
          for word in words + ["try:"] { #expect(outcome.stderr.contains(word), "\(why) names \(word)") }
          #expect(outcome.stdout.isEmpty)
          let left = try contents(of: host.path)
          #expect(left == before, "\(why): nothing is written")
        }

        try refused(21, "no invite", with: "hello", "a text that is no invite")
        var damaged = Array(invite)
        damaged[damaged.count / 2] = damaged[damaged.count / 2] == "q" ? "p" : "q"
        try refused(21, "damaged", with: String(damaged), "a wrong character")
        try refused(21, "damaged", with: String(invite.dropLast()), "a character too few")
        // The first five bits of the version.
        try refused(22, "version 9", with: try Bech32m.changing(invite) { $0[0] = 1 }, "an invite of a later version")
        try refused(15, "another network", with: invite, "a host that has the genesis of another network") { host in
          let genesis = try String(contentsOfFile: net.directory + "/genesis.json", encoding: .utf8)
          var document = try #require(
            JSONSerialization.jsonObject(with: Data(genesis.utf8)) as? [String: Any], "a genesis is an object")
          document["name"] = "another"
          try JSONSerialization.data(withJSONObject: document)
            .write(to: URL(fileURLWithPath: host.path + "/genesis.json"))
        }
        try refused(10, "bootstrap", with: invite, "a node.conf that asks somebody else") { host in
          try host.write("[network]\nbootstrap = [\"192.0.2.1:7447\"]\n", to: "node.conf")
        }
        try refused(10, "node.data_directory", with: invite, "a node.conf that says otherwise than a flag") { host in
          try host.write("[node]\ndata_directory = \"/nowhere\"\n\n[network]\n#bootstrap = []\n", to: "node.conf")
        }
        // The node is there, and does not speak with strangers.
        let elsewhere = try Bech32m.changing(invite) { $0[10] ^= 1 }
        try refused(23, "another network answers", with: elsewhere, "an invite of that node to another network")
        try net.crashAndWait(1)
        try refused(23, "can't be reached", with: invite, "a node that is gone")
        let nothing = try run([Requirement.binary, "join"])
        #expect(nothing.code == 64, "\(nothing.described)")
      }
    }

    /// Every file below a directory, with what it holds, but for the lock, which says nothing.
    private func contents(of directory: String) throws -> [String: Data] {
      var found: [String: Data] = [:]
      for name in try FileManager.default.subpathsOfDirectory(atPath: directory) where name != "lock" {
        found[name] = FileManager.default.contents(atPath: directory + "/" + name) ?? Data()
      }
      return found
    }
  }
}

/// The text form of an invite, changed by who can make a checksum that fits (BIP-350).
enum Bech32m {
  private static let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l")

  static func changing(_ text: String, _ change: (inout [Int]) -> Void) throws -> String {
    let mark = try #require(text.lastIndex(of: "1"))
    let prefix = text[..<mark]
    var values = try text[text.index(after: mark)...].dropLast(6).map { try #require(alphabet.firstIndex(of: $0)) }
    change(&values)
    let ascii = prefix.utf8.map(Int.init)
    let sum = checksum(ascii.map { $0 >> 5 } + [0] + ascii.map { $0 & 31 } + values + [Int](repeating: 0, count: 6))
    let ending = (0..<6).map { alphabet[(sum >> (5 * (5 - $0))) & 31] }
    return prefix + "1" + String(values.map { alphabet[$0] } + ending)
  }

  private static func checksum(_ values: [Int]) -> Int {
    let generator = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
    var sum = 1
    for value in values {
      let top = sum >> 25
      sum = (sum & 0x1ff_ffff) << 5 ^ value
      for (bit, constant) in generator.enumerated() where top & (1 << bit) != 0 { sum ^= constant }
    }
    return sum ^ 0x2bc8_30a3
  }
}
