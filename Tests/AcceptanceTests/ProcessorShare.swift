import Foundation
import Testing

/// How much of the processor time that they asked for some processes get from now on: the kernel counts for each thread
/// how long it ran and how long it stood in a processor's queue.
///
/// An issue's bound is for nodes that have a processor. Where a host has others to serve, they may take as much longer.
struct ProcessorShare {
  private struct Times {
    var ran: Double = 0
    var waited: Double = 0
  }

  private let processes: [pid_t]
  private let before: [String: Times]

  /// - Parameter isWhole: whether what came before, since the processes' start, counts too.
  init(of processes: [pid_t], isWhole: Bool = false) {
    self.processes = processes
    before = isWhole ? [:] : ProcessorShare.times(of: processes)
  }

  /// Of each thread that lives.
  private static func times(of processes: [pid_t]) -> [String: Times] {
    var times: [String: Times] = [:]
    for process in processes {
      let threads = "/proc/\(process)/task"
      for thread in (try? FileManager.default.contentsOfDirectory(atPath: threads)) ?? [] {
        // Nanoseconds on a processor, nanoseconds in its queue, turns.
        let text = (try? String(contentsOfFile: "\(threads)/\(thread)/schedstat", encoding: .utf8)) ?? ""
        let numbers = text.split { $0.isWhitespace }.compactMap { Double($0) }
        if numbers.count >= 2 { times[thread] = Times(ran: numbers[0], waited: numbers[1]) }
      }
    }
    return times
  }

  /// The share up to now: 1 where nobody had to wait, or the kernel does not count. Never under a third, since they also
  /// wait for each other: no bound gets longer than three times itself.
  var value: Double {
    var (ran, waited) = (0.0, 0.0)
    for (thread, times) in ProcessorShare.times(of: processes) {
      ran += times.ran - (before[thread]?.ran ?? 0)
      waited += times.waited - (before[thread]?.waited ?? 0)
    }
    guard ran > 0, waited > 0 else { return 1 }
    return max(1.0 / 3, ran / (ran + waited))
  }
}

/// Expects that something took less than an issue's bound, as far as its processes had a processor: their share.
func expect(
  _ what: String, took seconds: Double, below bound: Double, share: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  measured(what, text(seconds), bound: "\(text(bound)); \(Int(share * 100)) % of the processor time asked for")
  #expect(seconds * share < bound, "\(what)", sourceLocation: sourceLocation)
}

extension LocalTestnet {
  /// The share of the daemons that run.
  func processorShare(isWhole: Bool = false) -> ProcessorShare {
    ProcessorShare(of: nodes.compactMap { try? pid(of: $0) }, isWhole: isWhole)
  }
}
