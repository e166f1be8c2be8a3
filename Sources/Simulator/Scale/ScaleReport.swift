import Primitives

/// What a simulation of many nodes' membership has measured.
package struct ScaleReport: Sendable, Equatable, Encodable {
  /// How long something took to be known, from when it happened.
  package struct Spread: Sendable, Equatable, Encodable {
    /// Until half, 99.9 % and all of the nodes knew it, in seconds; nil when so many never did.
    package var halfSeconds: Double?
    package var mostSeconds: Double?
    package var allSeconds: Double?
    /// How many nodes knew it in the end, and how many should.
    package var knownBy: Int
    package var of: Int
  }

  /// Bytes a second of a node, IP headers included.
  package struct Traffic: Sendable, Equatable, Encodable {
    package var meanOut: Double
    package var mostOut: Double
    package var highOut: Double
    package var highIn: Double
  }

  /// Published messages.
  package struct Broadcasts: Sendable, Equatable, Encodable {
    package var published: Int
    /// Nodes that missed one, over all messages.
    package var missed: Int
    /// The most links that one went over before its last delivery.
    package var hops: Int
    /// Copies received for each first one.
    package var redundancy: Double
    /// Until 99.9 % and all of the nodes had the slowest, in seconds; nil when so many never did.
    package var mostSeconds: Double?
    package var allSeconds: Double?
  }

  package var members: Int
  package var seed: UInt64
  package var virtualSeconds: Double
  package var events: UInt64
  /// The idle time.
  package var idleSeconds: Double
  package var traffic: Traffic
  /// Times that somebody took a running node for suspect or down.
  package var falseSuspicions: Int
  package var falseDowns: Int
  /// Times that a node would hear another no more for its misconduct, of which there was none.
  package var closings: Int
  /// Probes that nobody answered, those of nodes that had ended among them.
  package var failedProbes: UInt64
  package var broadcasts: Broadcasts?
  package var join: Spread?
  /// A process that ends: its host closes the links.
  package var killed: Spread?
  /// A host that is gone: its links are found silent later.
  package var powerless: Spread?

  /// The report in lines for people.
  package var lines: [String] {
    func number(_ value: Double, _ digits: Int = 1) -> String {
      let scale = [1.0, 10, 100, 1_000][digits]
      let rounded = (value * scale).rounded()
      let whole = Int(rounded / scale)
      guard digits > 0 else { return "\(whole)" }
      let rest = "\(Int(rounded) - whole * Int(scale))"
      return "\(whole)." + String(repeating: "0", count: digits - rest.count) + rest
    }
    func seconds(_ value: Double?) -> String { value.map { number($0, 3) + " s" } ?? "never" }
    func line(_ what: String, _ spread: Spread?) -> [String] {
      spread.map {
        [
          "\(what): known by half in \(seconds($0.halfSeconds)), by 99.9 % in \(seconds($0.mostSeconds)), by all in "
            + "\(seconds($0.allSeconds)) (\($0.knownBy) of \($0.of))"
        ]
      } ?? []
    }
    var lines = [
      "seed \(seed): \(members) nodes, \(number(virtualSeconds)) s of virtual time, \(events) events",
      "idle for \(number(idleSeconds)) s: \(number(traffic.meanOut, 0)) B/s out on average, "
        + "99 % below \(number(traffic.mostOut, 0)), the most \(number(traffic.highOut, 0)) out and "
        + "\(number(traffic.highIn, 0)) in",
      "false suspicions \(falseSuspicions), false downs \(falseDowns), closed for misconduct \(closings), failed probes "
        + "\(failedProbes)",
    ]
    if let broadcasts {
      lines.append(
        "\(broadcasts.published) messages published: missed by \(broadcasts.missed), at 99.9 % of the nodes in "
          + "\(seconds(broadcasts.mostSeconds)), at all in \(seconds(broadcasts.allSeconds)), last after "
          + "\(broadcasts.hops) hops, \(number(broadcasts.redundancy, 2)) copies a node")
    }
    return lines + line("join", join) + line("killed process", killed) + line("lost host", powerless)
  }
}
