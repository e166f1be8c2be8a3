/// Asks NVIDIA's library in a child process (`Sources/CLinux/nvml_probe.c` is its other end).
struct NVMLProbe: Sendable {
  let library: String
  let executable: String
  let timeoutMicroseconds: UInt64

  /// What NVML said, as far as it came.
  struct Answer {
    /// Of the whole host: `driver`, `cuda`, `count`.
    var system = Section()
    var cards: [Card] = []
    /// Why there is nothing, or why it is not all.
    var failure: String?
  }

  struct Card {
    var index: Int
    var facts = Section()
    var migInstances: [Section] = []
    /// Set when the probe ended while it asked about this card.
    var wasCutShort = false
  }

  /// Facts by key, and why others are missing.
  struct Section {
    var values: [String: String] = [:]
    var unread: [(key: String, why: String)] = []

    func number<Number: FixedWidthInteger>(_ key: String) -> Number? { values[key].flatMap { Number($0) } }
  }

  static let maximumCards = 64
  private static let maximumMIGInstances = 16

  func ask() -> Answer {
    let run = ChildRun(executable, ["nvml-probe", library], timeoutMicroseconds: timeoutMicroseconds)
    return Self.parse(run.output, ending: run.ending, timeoutMicroseconds: timeoutMicroseconds)
  }

  /// Reads the probe's lines. They passed through a vendor's library, so nothing about them is taken for granted.
  static func parse(_ output: String, ending: ChildRun.Ending, timeoutMicroseconds: UInt64) -> Answer {
    var answer = Answer()
    var isProbe = false
    var isComplete = false
    var call: String?
    var libraryFailure: String?
    for line in output.split(separator: "\n") {
      guard let (key, value) = line.pair("=") else { continue }
      switch key {
      case "probe": isProbe = value == "1"
      case "end": isComplete = true
      case "call": call = value
      case "library": libraryFailure = value
      case "gpu":
        guard let index = Int(value), answer.cards.count < maximumCards else { continue }
        answer.cards.append(Card(index: index))
      case "mig":
        guard let last = answer.cards.indices.last, answer.cards[last].migInstances.count < maximumMIGInstances
        else { continue }
        answer.cards[last].migInstances.append(Section())
      default: answer.note(key, value)
      }
    }
    if isProbe, isComplete {
      answer.failure = libraryFailure
      return answer
    }
    if let last = answer.cards.indices.last { answer.cards[last].wasCutShort = true }
    let place = (call.map { " in \($0)" } ?? "") + (answer.cards.last.map { " of card \($0.index)" } ?? "")
    switch ending {
    case .notStarted(let why): answer.failure = "the probe could not be started: \(why)"
    case .timedOut:
      answer.failure = "no answer\(place) within \(timeoutMicroseconds / 1000) ms: the driver hangs; ended"
    case .stuck: answer.failure = "no answer\(place), and the probe cannot be ended: it is stuck in the driver"
    case .signalled(let signal): answer.failure = "the library crashed\(place) by signal \(signal)"
    case .flooded: answer.failure = "the library wrote more than \(ChildRun.maximumOutputBytes) bytes\(place)"
    case .exited(let code):
      answer.failure =
        isProbe
        ? "the library ended the probe\(place) with exit code \(code)"
        : "the probe's program does not know its part (exit code \(code)): it is not this version of linnet"
    }
    return answer
  }
}

extension NVMLProbe.Answer {
  /// Puts a fact where the lines before it said it belongs.
  fileprivate mutating func note(_ key: String, _ value: String) {
    guard let card = cards.indices.last else { return system.note(key, value) }
    if let instance = cards[card].migInstances.indices.last {
      cards[card].migInstances[instance].note(key, value)
    } else {
      cards[card].facts.note(key, value)
    }
  }
}

extension NVMLProbe.Section {
  fileprivate mutating func note(_ key: String, _ value: String) {
    let suffix = ".unread"
    if key.hasSuffix(suffix) {
      unread.append((String(key.dropLast(suffix.count)), value))
    } else {
      values[key] = value
    }
  }
}
