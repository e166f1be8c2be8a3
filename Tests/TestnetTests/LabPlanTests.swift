import Testing

@testable import Testnet

@Suite("the plan of a lab") struct LabPlanTests {
  private let layout = TestnetLayout(directory: "/tmp/lab-plan")

  private func plan(_ count: Int = 4, _ options: LabOptions = LabOptions()) throws -> LabPlan {
    try LabPlan(layout: layout, count: count, options: options)
  }

  @Test("names come from the directory alone, and fit the kernel's 15 bytes") func names() throws {
    let plan = try plan(32)
    #expect(plan == (try self.plan(32)) && plan.tag == LabPlan.tag(of: layout))
    #expect(plan.tag != LabPlan.tag(of: TestnetLayout(directory: "/tmp/lab-plan2")))
    let natted = try self.plan(32, LabOptions(natHosts: [32]))
    for host in plan.hosts + natted.hosts {
      // The veth pair of a router has a letter more.
      #expect(host.device.utf8.count <= 14 && host.device.hasPrefix(plan.tag))
      #expect(LabPlan.isNamespace(host.namespace, of: plan.tag))
    }
    #expect(natted.hosts[31].router.map { LabPlan.isNamespace($0, of: plan.tag) } == true)
    #expect(Set(natted.namespaces).count == 33)
  }

  @Test("namespaces of others are never taken for its own") func foreign() throws {
    let tag = LabPlan.tag(of: layout)
    for name in ["\(tag)h", "\(tag)x1", "\(tag)h1a", "\(tag)", "lb123h1", "lnah1", "x\(tag)h1", "\(tag)1h1"] {
      #expect(!LabPlan.isNamespace(name, of: tag), "\(name)")
    }
  }

  @Test("addresses by family") func addresses() throws {
    let subnet = try #require(plan().hosts[0].addresses[0].split(separator: ".").dropFirst(2).first)
    #expect(try plan().hosts.map(\.addresses) == (1...4).map { ["10.78.\(subnet).\($0)"] })
    let dual = try plan(20, LabOptions(family: .dual, natHosts: [2]))
    #expect(dual.hosts[19].addresses.count == 2 && dual.hosts[19].addresses[1].hasSuffix("::14"))
    #expect(dual.hosts[1].addresses.count == 1, "a router translates IPv4 alone")
    #expect(try plan(2, LabOptions(family: .ipv6)).hosts.allSatisfy { $0.addresses.allSatisfy { $0.contains(":") } })
  }

  @Test("addresses are written as nodes show them, whichever network a directory comes to") func subnets() throws {
    for number in 0..<2_000 {
      let plan = try LabPlan(
        layout: TestnetLayout(directory: "/tmp/lab-\(number)"), count: 2, options: LabOptions(family: .dual))
      // fd78:0::1 would be shown as fd78::1.
      #expect(!plan.hosts[0].addresses[1].hasPrefix("fd78:0:") && !plan.hosts[0].addresses[0].hasPrefix("10.78.0."))
    }
  }

  @Test("nodes listen on every address, and ask the first that can be dialled") func configuration() throws {
    let dual = try plan(4, LabOptions(family: .dual, natHosts: [1]))
    #expect(dual.listen == "\"0.0.0.0:7447\", \"[::]:7447\"")
    let entrances = dual.bootstrap(of: 4)
    #expect(
      entrances.split(separator: ",").count == 4 && entrances.contains(".2:7447") && entrances.contains("::3]:7447"))
    #expect(!entrances.contains(".1:7447") && !dual.bootstrap(of: 2).contains(".2:7447"))
    #expect(try plan(4, LabOptions(entranceCount: 0)).bootstrap(of: 2) == "")
    let single = try plan(4, LabOptions(entranceCount: 1))
    #expect(single.bootstrap(of: 1) == "" && single.bootstrap(of: 4) == single.bootstrap(of: 2))
    #expect(throws: TestnetError.self) { try plan(4, LabOptions(entranceCount: 9)) }
  }

  @Test("a host that moves loses the old address before it gets the new one") func moving() throws {
    let plan = try plan()
    let host = plan.hosts[3]
    let commands = plan.commands(forMoving: host, to: ["10.78.9.104"]).map { $0.joined(separator: " ") }
    #expect(
      commands.prefix(2) == [
        "ip -n \(host.namespace) address del \(host.addresses[0])/24 dev \(host.device)",
        "ip -n \(host.namespace) address add 10.78.9.104/24 dev \(host.device)",
      ])
    #expect(commands.contains("ip -n \(host.namespace) route replace default dev \(host.device)"))
    #expect(plan.commands(forMoving: host, to: host.addresses).allSatisfy { $0.contains("route") })
  }

  @Test("what cannot be made is refused") func refusals() {
    #expect(throws: TestnetError.self) { try plan(1) }
    #expect(throws: TestnetError.self) { try plan(33) }
    #expect(throws: TestnetError.self) { try plan(4, LabOptions(natHosts: [5])) }
    #expect(throws: TestnetError.self) { try plan(4, LabOptions(natHosts: [2, 2])) }
    #expect(throws: TestnetError.self) { try plan(4, LabOptions(family: .ipv6, natHosts: [2])) }
  }
}
