import FoundationEssentials

/// A line that the switch is told: a JSON object. The state is the answer to an empty one too.
package struct SwitchRequest: Sendable, Equatable, Codable {
  /// The words of `linnet testnet net`, but for `kill` and `start`.
  package var words: [String]?
  /// Its `--host`.
  package var hosts: [String]?
  /// Its `--pair`.
  package var pairs: [String]?

  /// Asks for the state.
  package init() {}
}

/// The line that the switch answers.
package struct SwitchAnswer: Sendable, Equatable, Codable {
  /// Why nothing was done; nil when all was.
  package var error: String?
  /// What holds after the request.
  package var state: SwitchState?
}

/// What the switch does and has done.
package struct SwitchState: Sendable, Equatable, Codable {
  /// A host at the switch.
  package struct Host: Sendable, Equatable, Codable {
    /// Counted from 1.
    package var host: Int
    /// Its TUN device.
    package var device: String
    /// The addresses that lead to it.
    package var addresses: [String]
    /// What it gave to the switch, over all paths.
    package var sent: SwitchTraffic
    /// What others gave to the switch for it.
    package var received: SwitchTraffic
  }

  /// What went over a path.
  package struct Path: Sendable, Equatable, Codable {
    /// Who sends.
    package var from: Int
    /// Who receives.
    package var to: Int
    /// The counts.
    package var traffic: SwitchTraffic
  }

  /// The rules in force.
  package var rules: SwitchRulesView
  /// All hosts.
  package var hosts: [Host]
  /// The paths over which anything went.
  package var paths: [Path]
  /// What befell packets beside the rules.
  package var counters: SwitchCounters
  /// Packets under way now.
  package var packetsUnderWay: Int
  /// How late packets were delivered, since the last time that was asked.
  package var lateness: SwitchLateness.Summary
}

/// What befell packets beside the rules.
package struct SwitchCounters: Sendable, Equatable, Codable {
  /// Packets for an address that no host has.
  package var unroutedPackets: UInt64 = 0
  /// What came from a device and is no IP packet.
  package var malformedPackets: UInt64 = 0
  /// Packets that found too many under way.
  package var overflowedPackets: UInt64 = 0
  /// Packets that a host's device did not take: it is down, or its queue is full.
  package var refusedPackets: UInt64 = 0

  /// Nothing yet.
  package init() {}
}

/// How late packets were delivered: in steps that double.
package struct SwitchLateness: Sendable {
  /// Bounds that hold for a share of the packets.
  package struct Summary: Sendable, Equatable, Codable {
    /// How many packets were delivered.
    package var packets: UInt64
    /// Half of them were not later than this.
    package var medianMicroseconds: Int64
    /// 99 of 100 were not later than this.
    package var p99Microseconds: Int64
    /// The latest.
    package var mostMicroseconds: Int64
  }

  private var counts = [UInt64](repeating: 0, count: 40)
  private var most: Int64 = 0

  package init() {}

  package mutating func record(_ microseconds: Int64) {
    let late = max(0, microseconds)
    counts[min(counts.count - 1, 64 - late.leadingZeroBitCount)] += 1
    most = max(most, late)
  }

  package var summary: Summary {
    let total = counts.reduce(0, +)
    func bound(_ percent: UInt64) -> Int64 {
      var passed: UInt64 = 0
      for (bits, count) in counts.enumerated() {
        passed += count
        // Below 2^bits.
        if total > 0, passed * 100 >= total * percent { return min(most, (1 << Int64(bits)) - 1) }
      }
      return 0
    }
    return Summary(
      packets: total, medianMicroseconds: bound(50), p99Microseconds: bound(99), mostMicroseconds: most)
  }
}

/// One JSON object a line, keys in order.
enum SwitchJSON {
  static func line(_ value: some Encodable) throws(SwitchError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do { return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")] } catch {
      throw SwitchError("the message could not be written: \(error)")
    }
  }

  static func decode<Value: Decodable>(_ type: Value.Type, _ line: some Collection<UInt8>) throws(SwitchError) -> Value
  {
    do { return try JSONDecoder().decode(type, from: Data(line)) } catch {
      throw SwitchError("that is no line of the switch's: \(error)")
    }
  }
}
