import Testing

@testable import Control

@Suite struct TargetTests {
  private func resolve(
    _ flags: ControlTarget.Flags = .init(), _ environment: [String: String] = [:], running: [String] = []
  ) throws -> String {
    try ControlTarget.resolve(
      flags, environment: environment.merging(["HOME": "/home/u"]) { given, _ in given }, userID: 1000,
      answers: { running.contains($0) })
  }

  @Test func theSocketFlagStandsAboveAll() throws {
    let environment = ["LINNET_SOCKET": "/e", "LINNET_TESTNET": "/t"]
    #expect(try resolve(.init(socket: "/s", node: 2, directory: "/d"), environment) == "/s")
  }

  @Test func aNodeOfATestnet() throws {
    #expect(try resolve(.init(node: 2, directory: "/d")) == "/d/node2/control.sock")
    #expect(try resolve(.init(directory: "/d"), ["LINNET_TESTNET": "/t"]) == "/d/node1/control.sock")
    #expect(try resolve(.init(node: 3), ["LINNET_TESTNET": "/t"]) == "/t/node3/control.sock")
    #expect(
      try resolve(.init(node: 3), ["LINNET_SOCKET": "/e"]) == "/home/u/.local/state/linnet/testnet/node3/control.sock")
    #expect(try resolve(.init(node: 1), ["XDG_STATE_HOME": "/x"]) == "/x/linnet/testnet/node1/control.sock")
    #expect(throws: ControlError.self) { try resolve(.init(node: 0)) }
  }

  @Test func theEnvironment() throws {
    #expect(try resolve(.init(), ["LINNET_SOCKET": "/e", "LINNET_TESTNET": "/t"]) == "/e")
    #expect(try resolve(.init(), ["LINNET_TESTNET": "/t"]) == "/t/node1/control.sock")
    #expect(try resolve(.init(), ["LINNET_SOCKET": "", "LINNET_TESTNET": "/t"]) == "/t/node1/control.sock")
  }

  @Test func whoeverAnswers() throws {
    let user = "/run/user/1000/linnet/control.sock"
    let testnet = "/home/u/.local/state/linnet/testnet/node1/control.sock"
    let environment = ["XDG_RUNTIME_DIR": "/run/user/1000"]
    let all = [testnet, ControlTarget.systemSocket, user]
    #expect(try resolve(.init(), environment, running: all) == user)
    #expect(
      try resolve(.init(), environment, running: [testnet, ControlTarget.systemSocket]) == "/run/linnet/control.sock")
    #expect(try resolve(.init(), environment, running: [testnet]) == testnet)
    #expect(try resolve(running: ["/tmp/linnet-1000/control.sock"]) == "/tmp/linnet-1000/control.sock")
  }

  @Test func relativeBaseDirectoriesCountAsNone() throws {
    #expect(try resolve(.init(node: 1), ["XDG_STATE_HOME": "x"]).hasPrefix("/home/u/"))
    #expect(ControlTarget.userSocket(environment: ["XDG_RUNTIME_DIR": "x"], userID: 7) == "/tmp/linnet-7/control.sock")
  }

  @Test func nobodyAnswers() {
    let error = #expect(throws: ControlError.self) { try resolve() }
    #expect(error?.code == "noDaemon")
    #expect(error?.detail.contains("/run/linnet/control.sock") == true)
    #expect(error?.suggestion?.contains("linnet testnet up") == true)
  }
}
