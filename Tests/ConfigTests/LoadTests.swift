import Primitives
import Testing

@testable import Config

@Suite("Loading a configuration")
struct LoadTests {
  @Test("defaults of root and of a user")
  func defaults() throws {
    let root = try load(userID: 0)
    #expect(root.node.dataDirectory == "/var/lib/linnet")
    #expect(root.node.genesis == "/var/lib/linnet/genesis.json")
    #expect(root.node.key == "/var/lib/linnet/node.key")
    #expect(root.node.name == "host.example")
    #expect(root.control.socket == "/run/linnet/control.sock")
    #expect(root.executor.directory == "/var/lib/linnet/jobs")
    #expect(root.network.listen.map(\.description) == ["0.0.0.0:7447"])
    #expect(root.network.profile == .lan)
    #expect(root.offer.isEnabled && root.offer.gpus == .all)

    let user = try load()
    #expect(user.node.dataDirectory == "/home/u/.local/state/linnet")
    #expect(user.control.socket == "/tmp/linnet-1000/control.sock")
    #expect(root.network.isFoundOnLAN && root.network.hasAddressBook && root.network.dns.isEmpty)
    #expect(root.network.maximumLinks == 256)
    let xdg = try load(environment: ["XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/run/user/1000/"])
    #expect(xdg.journal.directory == "/s/linnet/journal")
    #expect(xdg.control.socket == "/run/user/1000/linnet/control.sock")
    #expect(try load(environment: ["XDG_STATE_HOME": "relative"]).node.dataDirectory == user.node.dataDirectory)
  }

  @Test("flag before environment before file before default, and each value knows its source")
  func precedence() throws {
    let text = "[offer]\nmaximum_jobs = 1\ncpu_milli = 1\nprice_gpu_second_microcredits = 1\n"
    let configuration = try load(
      text, environment: ["LINNET_OFFER_MAXIMUM_JOBS": "2", "LINNET_OFFER_CPU_MILLI": "2"],
      flags: ["offer.maximum_jobs": "3"])
    #expect(configuration.offer.maximumJobs == 3)
    #expect(configuration.offer.cpuMilli == 2)
    #expect(configuration.offer.priceGPUSecondMicrocredits == 1)
    let sources = Dictionary(uniqueKeysWithValues: configuration.entries.map { ($0.key, $0.source) })
    #expect(sources["offer.maximum_jobs"] == .flag(name: "offer.maximum_jobs"))
    #expect(sources["offer.cpu_milli"] == .environment(name: "LINNET_OFFER_CPU_MILLI"))
    #expect(sources["offer.price_gpu_second_microcredits"]?.description.hasSuffix("node.conf:4") == true)
    #expect(sources["offer.labels"]?.description == "default")
  }

  @Test("on one host nobody is looked for on the local network unless it is asked for")
  func lanDiscovery() throws {
    #expect(try load("[network]\nprofile = \"wan\"").network.isFoundOnLAN)
    let loopback = try load("[network]\nprofile = \"loopback\"")
    #expect(!loopback.network.isFoundOnLAN)
    #expect(loopback.entries.first { $0.key == "network.lan_discovery" }?.value == "false")
    #expect(loopback.entries.first { $0.key == "network.lan_discovery" }?.source == .fallback)
    #expect(try load("[network]\nprofile = \"loopback\"\nlan_discovery = true").network.isFoundOnLAN)
    #expect(try !load("[network]\nlan_discovery = false").network.isFoundOnLAN)
  }

  @Test("names whose TXT records are asked for")
  func names() throws {
    let file = try load("[network]\ndns = [\"_linnet.example.org\", \"b.example.\"]\nmaximum_links = 16")
    #expect(file.network.dns == ["_linnet.example.org", "b.example."])
    #expect(file.network.maximumLinks == 16)
    for refused in ["10.0.0.1", "", "a b", "name:53", "-x.example"] {
      #expect(throws: ConfigurationError.self) { try load("[network]\ndns = [\"\(refused)\"]") }
    }
    #expect(throws: ConfigurationError.self) { try load("[network]\nmaximum_links = 15") }
  }

  @Test("paths derived from the data directory follow it; relative ones follow where they were written")
  func paths() throws {
    let moved = try load(flags: ["node.data_directory": "/data/n1"])
    #expect(moved.blobs.directory == "/data/n1/blobs")
    #expect(moved.node.key == "/data/n1/node.key")
    #expect(try load(flags: ["blobs.directory": "./b//c/"]).blobs.directory == "/work/here/b/c")
    let file = try load("[blobs]\ndirectory = \"b\"")
    #expect(file.blobs.directory.hasPrefix("/") && file.blobs.directory.hasSuffix("/b"))
    #expect(!file.blobs.directory.hasPrefix("/work/here"))
  }

  @Test("sizes and durations are integers or text with a unit, from every source")
  func units() throws {
    let configuration = try load(
      "[offer]\nmemory_bytes = \"4GiB\"\ndisk_bytes = 1_000\n[executor]\ngrace_seconds = \"2m\"",
      environment: ["LINNET_BLOBS_MAXIMUM_BYTES": "3 gb"], flags: ["executor.log_cap_bytes": "64KiB"])
    #expect(configuration.offer.memoryBytes == 4 << 30)
    #expect(configuration.offer.diskBytes == 1000)
    #expect(configuration.executor.graceSeconds == 120)
    #expect(configuration.blobs.maximumBytes == 3_000_000_000)
    #expect(configuration.executor.logCapBytes == 65536)
  }

  @Test("lists: arrays in the file, commas elsewhere, empty text is an empty list")
  func lists() throws {
    let file = try load(
      """
      [network]
      listen = [
        "10.0.0.1:1", # one
        "[::1]:2",
      ]
      [offer]
      labels = ["zone=a", "empty="]
      """)
    #expect(file.network.listen.map(\.description) == ["10.0.0.1:1", "[::1]:2"])
    #expect(file.offer.labels == [.init(key: "zone", value: "a"), .init(key: "empty", value: "")])
    let id = NodeID(Bytes32()).description
    let environment = try load(
      environment: ["LINNET_NETWORK_BOOTSTRAP": "a.example:1, \(id)@[::1]:2", "LINNET_OFFER_LABELS": ""])
    #expect(environment.network.bootstrap.map(\.address.host) == ["a.example", "::1"])
    #expect(environment.network.bootstrap.map(\.identity) == [nil, id])
    #expect(environment.offer.labels.isEmpty)
  }

  @Test("variables of others are left alone")
  func foreignVariables() throws {
    let variables = ["LINNET_SOCKET": "/s", "LINNET_TESTNET": "t", "LINNET_SCOPE": "x", "LINNET_JOB": "1", "PATH": "/"]
    #expect(try problems(environment: variables).isEmpty)
  }

  @Test("what changed between two configurations, and whether it can be reloaded")
  func changes() throws {
    let old = try load("[log]\nlevel = \"info\"")
    let new = try load("[log]\nlevel = \"debug\"\nformat = \"json\"")
    let changes = old.changes(to: new)
    #expect(changes.map(\.key) == ["log.level", "log.format"])
    #expect(changes.map(\.isReloadable) == [true, false])
    #expect(changes.first?.after == "\"debug\"")
    #expect(old.changes(to: old).isEmpty)
  }

  @Test("what flags say otherwise than the file, and what they say as it does")
  func overruledByFlags() throws {
    let text = "[node]\ndata_directory = \"/d\"\nname = \"amber\"\n"
    let file = try load(text)
    let same = try load(text, flags: ["node.name": "amber", "node.data_directory": "/d"])
    #expect(file.overruledByFlags(in: same).isEmpty)
    let flags = ["node.data_directory": "/e", "node.name": "birch", "network.listen": "0.0.0.0:7447"]
    // What follows from the data directory, such as the key's path, is not what the flag said.
    let changes = try file.overruledByFlags(in: load(text, flags: flags))
    #expect(changes.map(\.key) == ["node.data_directory", "node.name"])
    #expect(changes.map(\.before) == ["\"/d\"", "\"amber\""] && changes.map(\.after) == ["\"/e\"", "\"birch\""])
  }

  @Test("the public entry reads the real host")
  func realHost() throws {
    let configuration = try NodeConfiguration.load(path: nil, environment: ["HOME": "/home/u"], flags: [:])
    #expect(!configuration.node.name.isEmpty)
    #expect(configuration.control.socket == NodeConfiguration.defaultControlSocket(environment: ["HOME": "/home/u"]))
    #expect(configuration.entries.count == ConfigurationKey.all.count)
  }

  @Test("the key table: names are unique, defaults within their bounds, every kind fits its place")
  func keyTable() throws {
    #expect(Set(ConfigurationKey.all.map(\.path)).count == ConfigurationKey.all.count)
    #expect(Set(ConfigurationKey.all.map(\.environmentName)).count == ConfigurationKey.all.count)
    for key in ConfigurationKey.all {
      var configuration = NodeConfiguration()
      switch key.fallback {
      case .fixed(let value):
        #expect(key.assign(&configuration, value), "\(key.path)")
        let found: FoundValue =
          switch value {
          case .boolean(let value): .boolean(value)
          case .integer(let value): .integer(Int(value))
          case .text(let text): .text(text)
          case .list(let texts): .list(texts.map { .text($0) })
          }
        #expect(try key.kind.check(found, relativeTo: "/") == value, "\(key.path)")
      case .derived(let example, _, _):
        var bare = example.rendered
        if case .text(let text) = example { bare = text }
        #expect(try key.kind.check(.bare(bare), relativeTo: "/") == example, "\(key.path)")
        #expect(key.assign(&configuration, example), "\(key.path)")
      }
    }
  }
}
