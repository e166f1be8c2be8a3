import Testing

@testable import NetworkSwitch

@Suite("the words of the switch") struct SwitchWordsTests {
  private func parse(_ text: String, hosts: [String] = [], pairs: [String] = []) throws -> [SwitchAction] {
    try SwitchAction.parse(text.split(separator: " ").map(String.init), hosts: hosts, pairs: pairs, hostCount: 12)
  }

  @Test("several at once, in their order; conditions side by side are one") func several() throws {
    var condition = SwitchCondition()
    condition.delayMicroseconds = 25_000
    condition.lossPartsPerMillion = 10_000
    #expect(
      try parse("delay 25ms loss 1% partition 1,2|3,4 kill 5-7") == [
        .set(condition, .all), .partition([[1, 2], [3, 4]]), .kill([5, 6, 7]),
      ])
    #expect(try parse("") == [])
    #expect(
      try parse("oneway 3>1,2 deaf 4 mute 5,6 heal start 1") == [
        .oneWay(from: 3, to: [1, 2]), .deaf([4]), .mute([5, 6]), .heal, .start([1]),
      ])
    let addresses = try ["10.78.4.105", "fd78:4::105"].map { try #require(SwitchAddress($0)) }
    #expect(try parse("address 5 10.78.4.105,fd78:4::105") == [.address(host: 5, addresses)])
  }

  @Test("quantities in their units") func quantities() throws {
    let all = try parse("delay 1.5s jitter 500us loss 0.0001% duplicate 100% reorder 0 rate 1.5gbit")
    guard case .set(let condition, .all) = try #require(all.first) else { throw SwitchError("no condition: \(all)") }
    #expect(condition.delayMicroseconds == 1_500_000 && condition.jitterMicroseconds == 500)
    #expect(condition.lossPartsPerMillion == 1 && condition.duplicatePartsPerMillion == 1_000_000)
    #expect(condition.reorderPartsPerMillion == 0 && condition.rateBitsPerSecond == 1_500_000_000)
  }

  @Test("for hosts or pairs alone") func scopes() throws {
    var condition = SwitchCondition()
    condition.delayMicroseconds = 1_000
    #expect(try parse("delay 1ms", hosts: ["4", "6-7"]) == [.set(condition, .hosts([4, 6, 7]))])
    let paths = [SwitchPath(from: 1, to: 2), SwitchPath(from: 2, to: 1), SwitchPath(from: 4, to: 3)]
    #expect(try parse("delay 1ms", pairs: ["1,2", "4>3"]) == [.set(condition, .paths(paths))])
    #expect(try parse("clear", hosts: ["4"]) == [.clear(.hosts([4]))])
  }

  @Test(
    "what is no rule is refused with what it is",
    arguments: [
      ("speed 5", "'speed' is none of"), ("delay", "'delay' needs a value"), ("delay 5", "no time"),
      ("delay -5ms", "no time"), ("delay 61s", "no time"), ("delay 0.5us", "no time"), ("delay ms", "no time"),
      ("delay 1.2.3ms", "no time"), ("delay 99999999999999999999ms", "no time"), ("loss 101%", "no share"),
      ("loss 5", "no share"), ("loss 0.00001%", "no share"), ("rate 10", "no rate"), ("rate 0.5kbit", "no rate"),
      ("rate 101gbit", "no rate"), ("partition 1,2|2,3", "in two groups"), ("partition 1-13|2", "'13' is no host"),
      ("partition 1|", "'' is no host"), ("partition 4-2|1", "ends before it begins"), ("deaf 0", "'0' is no host"),
      ("deaf 1,1", "twice"), ("oneway 1", "no direction"), ("oneway 1>2>3", "no direction"),
      ("oneway 1>1", "on both sides"), ("address 1 10.0.0.256", "no IP address"), ("address 1", "needs a value"),
      ("kill all", "no host"),
    ]) func refusals(_ words: String, _ reason: String) throws
  {
    do {
      let actions = try parse(words)
      Issue.record("'\(words)' was read as \(actions)")
    } catch let error as SwitchError {
      #expect(error.description.contains(reason), "\(error)")
    }
  }

  @Test("scopes that say nothing are refused") func badScopes() {
    #expect(throws: SwitchError.self) { try parse("delay 1ms", hosts: ["1"], pairs: ["1,2"]) }
    #expect(throws: SwitchError.self) { try parse("partition 1|2", hosts: ["1"]) }
    #expect(throws: SwitchError.self) { try parse("delay 1ms", pairs: ["1"]) }
    #expect(throws: SwitchError.self) { try parse("delay 1ms", pairs: ["1,1"]) }
    #expect(throws: SwitchError.self) { try parse("delay 1ms", pairs: ["1>2>3"]) }
    #expect(throws: SwitchError.self) { try parse("delay 1ms", hosts: ["13"]) }
    #expect(throws: SwitchError.self) {
      try SwitchAction.parse(Array(repeating: "heal", count: 257), hostCount: 2)
    }
  }
}

@Suite("the text of rules") struct SwitchTextTests {
  @Test("rules are shown in words that set the same again") func roundTrip() throws {
    var rules = SwitchRules(hostCount: 8, seed: 1)
    let told: [([String], [String], [String])] = [
      (["delay", "25ms", "jitter", "1500us", "loss", "0.05%", "rate", "1.5mbit"], [], []),
      (["delay", "2s", "duplicate", "12.5%", "rate", "0"], ["4,5"], []),
      (["reorder", "100%", "delay", "0"], [], ["1>2"]),
      (["rate", "1.001kbit"], [], ["3,2"]), (["partition", "1-3,5|7"], [], []), (["oneway", "3>1,2"], [], []),
      (["deaf", "4,6-8", "mute", "1"], [], []),
    ]
    func tell(_ rules: inout SwitchRules, _ words: [String], _ hosts: [String], _ pairs: [String]) throws {
      for action in try SwitchAction.parse(words, hosts: hosts, pairs: pairs, hostCount: 8) {
        switch action {
        case .set(let condition, let scope): rules.set(condition, in: scope)
        case .partition(let groups): rules.partition(groups)
        case .oneWay(let from, let to): rules.allowOneWay(from: from, to: to)
        case .deaf(let numbers): rules.deafen(numbers)
        case .mute(let numbers): rules.mute(numbers)
        default: Issue.record("\(action)")
        }
      }
    }
    for (words, hosts, pairs) in told { try tell(&rules, words, hosts, pairs) }
    let lines = rules.view.lines
    #expect(lines.first == "delay 25ms jitter 1500us loss 0.05% rate 1500kbit", "\(lines)")
    #expect(lines.contains("partition '1-3,5|7'") && lines.contains("oneway '3>2'") && lines.contains("deaf 4,6-8"))
    var again = SwitchRules(hostCount: 8, seed: 1)
    for line in lines {
      var words = line.split(separator: " ").map { $0.filter { $0 != "'" } }
      var hosts: [String] = []
      var pairs: [String] = []
      if let option = words.firstIndex(where: { $0.hasPrefix("--") }) {
        if words[option] == "--host" { hosts = [words[option + 1]] } else { pairs = [words[option + 1]] }
        words.removeSubrange(option...)
      }
      try tell(&again, words, hosts, pairs)
    }
    #expect(again.view == rules.view)
  }

  @Test("what concerns hosts alone is kept from the switch") func wordsForSwitch() {
    let words = ["kill", "3", "delay", "5ms", "address", "2", "10.0.0.1", "heal", "start", "3", "loss", "1%"]
    #expect(
      SwitchAction.wordsForSwitch(words) == ["delay", "5ms", "address", "2", "10.0.0.1", "heal", "loss", "1%"])
    #expect(SwitchAction.wordsForSwitch(["kill", "1", "start", "1"]).isEmpty)
  }
}
