// swift-tools-version: 6.2
import PackageDescription

// One package, many small targets. The pure targets (the core) come first and import nothing that
// touches the world; the services and shells follow. See docs/architecture.md.

/// `LINNET_SCOPE=Ledger` reduces the package to that target, what it needs, and its tests, so that a
/// pure target builds in seconds without any package dependency (fuzzers, mutants and sanitizers do so).
let scope = Context.environment["LINNET_SCOPE"].map { $0.split(separator: ",").map(String.init) }

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
]
/// The pure targets are optimized in debug builds too: their tests live through hours of simulated time, which takes five
/// times as long otherwise. Preconditions, and what tests import of them, stay. `LINNET_UNOPTIMIZED=1` leaves them as they are
/// written, for sanitizers and debuggers.
let isUnoptimized = Context.environment["LINNET_UNOPTIMIZED"] != nil
let strictAndFast = strict + (isUnoptimized ? [] : [.unsafeFlags(["-O"], .when(configuration: .debug))])

struct Room {
  enum Kind {
    case library, pure, executable, fuzzer, bench, testProgram, test, c
    case system(pkgConfig: String, package: String)
  }
  var name: String
  var kind: Kind = .library
  var needs: [String] = []
  var products: [(name: String, package: String)] = []
  /// What the tests read from the source tree.
  var exclude: [String] = []
}

let nio = "swift-nio"
let rooms: [Room] = [
  // C
  Room(name: "CSodium", kind: .system(pkgConfig: "libsodium", package: "libsodium-dev")),
  Room(name: "CSeccomp", kind: .system(pkgConfig: "libseccomp", package: "libseccomp-dev")),
  Room(name: "CLinux", kind: .c),
  Room(name: "Sodium", kind: .pure, needs: ["CSodium", "Primitives"]),

  // The core: pure
  Room(name: "Primitives", kind: .pure, needs: ["CSodium"]),
  Room(name: "Wire", kind: .pure, needs: ["Primitives"]),
  Room(name: "Membership", kind: .pure, needs: ["Wire", "Primitives"]),
  Room(name: "Broadcast", kind: .pure, needs: ["Wire", "Primitives"]),
  Room(name: "Consensus", kind: .pure, needs: ["Wire", "Primitives"]),
  Room(name: "Ledger", kind: .pure, needs: ["Wire", "Primitives"]),
  Room(name: "Core", kind: .pure, needs: ["Membership", "Broadcast", "Consensus", "Ledger", "Wire", "Primitives"]),

  // Services
  Room(name: "Journal", needs: ["Primitives", "CLinux"]),
  Room(name: "LinkProtocol", kind: .pure, needs: ["Sodium", "Wire", "Primitives"]),
  Room(
    name: "Transport", needs: ["LinkProtocol", "Sodium", "Wire", "Primitives", "CLinux"],
    products: [("NIOCore", nio), ("NIOPosix", nio), ("Logging", "swift-log")]),
  Room(name: "Blobs", needs: ["Primitives", "CLinux"]),
  Room(name: "Hardware", needs: ["CLinux"]),
  Room(name: "Executor", needs: ["CLinux", "CSeccomp"], products: [("Logging", "swift-log")]),

  // Shells and what users touch
  Room(name: "Config", needs: ["CLinux", "Wire", "Primitives"]),
  Room(
    name: "Control", needs: ["CLinux"],
    products: [
      ("Hummingbird", "hummingbird"), ("NIOCore", nio), ("NIOPosix", nio), ("NIOHTTP1", nio),
      ("Logging", "swift-log"), ("ServiceLifecycle", "swift-service-lifecycle"),
    ]),
  Room(
    name: "Simulator", kind: .pure,
    needs: ["Core", "Consensus", "Ledger", "Membership", "Broadcast", "Wire", "Primitives", "Sodium"]),
  Room(name: "simulate", kind: .executable, needs: ["Simulator", "Primitives"]),
  Room(
    name: "Node",
    needs: [
      "Core", "Consensus", "Ledger", "Membership", "Broadcast", "Wire", "Primitives", "Sodium", "Journal",
      "Transport", "Blobs", "Hardware", "Executor", "Config", "Control", "CLinux",
    ],
    products: [
      ("NIOCore", nio), ("NIOPosix", nio), ("Logging", "swift-log"),
      ("ServiceLifecycle", "swift-service-lifecycle"), ("UnixSignals", "swift-service-lifecycle"),
    ]),
  Room(name: "NetworkSwitch", needs: ["CLinux", "Primitives"]),
  Room(
    name: "Testnet",
    needs: ["Config", "Control", "CLinux", "Executor", "NetworkSwitch", "Sodium", "Primitives", "Wire"],
    products: [("Logging", "swift-log")]),
  Room(
    name: "linnet", kind: .executable,
    needs: [
      "Node", "Control", "Simulator", "Testnet", "NetworkSwitch", "Config", "Hardware", "Sodium", "Wire", "Primitives",
      "CLinux",
    ],
    products: [
      ("ArgumentParser", "swift-argument-parser"), ("Logging", "swift-log"),
      ("ServiceLifecycle", "swift-service-lifecycle"),
    ]),

  // Tests: one folder a target
  Room(name: "PrimitivesTests", kind: .test, needs: ["Primitives"]),
  Room(name: "SodiumTests", kind: .test, needs: ["Sodium", "Primitives"]),
  Room(name: "WireTests", kind: .test, needs: ["Wire", "Primitives", "Sodium"]),
  Room(name: "MembershipTests", kind: .test, needs: ["Membership", "Wire", "Primitives", "Sodium"]),
  Room(name: "BroadcastTests", kind: .test, needs: ["Broadcast", "Wire", "Primitives", "Sodium"]),
  Room(name: "ConsensusTests", kind: .test, needs: ["Consensus", "Wire", "Primitives", "Sodium"]),
  Room(name: "LedgerTests", kind: .test, needs: ["Ledger", "Wire", "Primitives", "Sodium"]),
  Room(
    name: "CoreTests", kind: .test,
    needs: ["Core", "Consensus", "Ledger", "Membership", "Broadcast", "Wire", "Primitives", "Sodium"]),
  Room(name: "JournalTests", kind: .test, needs: ["Journal", "Primitives"]),
  Room(
    name: "TransportTests", kind: .test, needs: ["Transport", "LinkProtocol", "Sodium", "Wire", "Primitives"],
    products: [("NIOCore", nio), ("NIOPosix", nio)], exclude: ["Interop/noise_peer.py"]),
  Room(
    name: "LinkProtocolTests", kind: .test, needs: ["LinkProtocol", "Sodium", "Wire", "Primitives", "CSodium"],
    exclude: ["Datagram/Vectors", "Noise/Vectors", "Interop/yamux_peer.go"]),
  Room(name: "BlobsTests", kind: .test, needs: ["Blobs", "Primitives"]),
  Room(name: "HardwareTests", kind: .test, needs: ["Hardware"]),
  Room(name: "ExecutorTests", kind: .test, needs: ["Executor", "CLinux"]),
  Room(name: "ConfigTests", kind: .test, needs: ["Config", "Wire", "Primitives"]),
  Room(name: "ControlTests", kind: .test, needs: ["Control"]),
  Room(name: "SimulatorTests", kind: .test, needs: ["Simulator", "Core", "Membership", "Primitives"]),
  Room(name: "NodeTests", kind: .test, needs: ["Node", "Core", "Wire", "Primitives", "Sodium"]),
  Room(name: "NetworkSwitchTests", kind: .test, needs: ["NetworkSwitch", "Primitives"]),
  Room(name: "TestnetTests", kind: .test, needs: ["Testnet"]),
  Room(name: "AcceptanceTests", kind: .test, needs: []),
]

/// `LINNET_FUZZ=1` adds the fuzzer, which links only with the flags that scripts/fuzz gives.
let fuzzers =
  Context.environment["LINNET_FUZZ"] == nil
  ? [] : [Room(name: "linnet-fuzz", kind: .fuzzer, needs: ["Blobs", "LinkProtocol", "Sodium", "Wire", "Primitives"])]

/// `LINNET_EQUIVOCATOR=1` adds the programs that do harm, for the acceptance tests: the daemon that contradicts itself
/// and the node that holds to no rule of the network. They are no part of any other build; in the flavour and scratch
/// path of `--product linnet` they cost a few files and two links.
let testPrograms =
  Context.environment["LINNET_EQUIVOCATOR"] == nil
  ? []
  : [
    Room(
      name: "linnet-equivocator", kind: .testProgram, needs: ["Node", "Config", "Wire", "Primitives"],
      products: [("Logging", "swift-log")]),
    Room(
      name: "linnet-malicious", kind: .testProgram,
      needs: ["Transport", "LinkProtocol", "Config", "Sodium", "Wire", "Primitives"],
      products: [("NIOCore", nio), ("NIOPosix", nio), ("Logging", "swift-log")]),
  ]

/// The programs of `make bench-consensus` and `make bench-network`, built by scope only.
let benches = [
  Room(
    name: "bench-link", kind: .bench,
    needs: ["Core", "Transport", "LinkProtocol", "CSodium", "Sodium", "Wire", "Primitives"],
    products: [("NIOCore", nio), ("NIOPosix", nio), ("Logging", "swift-log")]),
  Room(
    name: "bench-load", kind: .bench, needs: ["Transport", "Config", "Sodium", "Wire", "Primitives"],
    products: [("NIOCore", nio), ("NIOPosix", nio), ("Logging", "swift-log")]),
  Room(
    name: "bench-model", kind: .bench,
    needs: ["Core", "Consensus", "Ledger", "Membership", "Broadcast", "Wire", "Primitives", "Sodium"]),
]

/// The rooms that `scope` asks for: each named target, all that it needs, and its tests.
func kept() -> [Room] {
  guard let scope else { return rooms + testPrograms }
  let rooms = rooms + fuzzers + benches + testPrograms
  let byName = Dictionary(uniqueKeysWithValues: rooms.map { ($0.name, $0) })
  var names = Set<String>()
  func add(_ name: String) {
    guard names.insert(name).inserted, let room = byName[name] else { return }
    room.needs.forEach(add)
  }
  for name in scope { add(name) }
  for name in scope where byName[name + "Tests"] != nil { add(name + "Tests") }
  return rooms.filter { names.contains($0.name) }
}

let allPackages: [(name: String, dependency: Package.Dependency)] = [
  ("swift-nio", .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2")),
  ("swift-log", .package(url: "https://github.com/apple/swift-log", exact: "1.16.2")),
  ("swift-argument-parser", .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")),
  (
    "swift-service-lifecycle", .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0")
  ),
  ("hummingbird", .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: [])),
]
let usedPackages = Set(kept().flatMap { $0.products.map(\.package) })

let package = Package(
  name: "linnet",
  products: scope == nil
    ? [.executable(name: "linnet", targets: ["linnet"])]
      + testPrograms.map { .executable(name: $0.name, targets: [$0.name]) } : [],
  dependencies: allPackages.filter { usedPackages.contains($0.name) }.map(\.dependency),
  targets: kept().map { room in
    let dependencies: [Target.Dependency] =
      room.needs.map { .target(name: $0) } + room.products.map { .product(name: $0.name, package: $0.package) }
    switch room.kind {
    case .system(let pkgConfig, let debian):
      return .systemLibrary(
        name: room.name, path: "Sources/\(room.name)", pkgConfig: pkgConfig, providers: [.apt([debian])])
    case .c:
      return .target(
        name: room.name, path: "Sources/\(room.name)",
        cSettings: [.define("_GNU_SOURCE"), .unsafeFlags(["-Wall", "-Wextra", "-Werror"])])
    case .library:
      return .target(
        name: room.name, dependencies: dependencies, path: "Sources/\(room.name)", swiftSettings: strict)
    case .pure:
      return .target(
        name: room.name, dependencies: dependencies, path: "Sources/\(room.name)", swiftSettings: strictAndFast)
    case .executable:
      return .executableTarget(
        name: room.name, dependencies: dependencies, path: "Sources/\(room.name)", swiftSettings: strict)
    case .bench:
      return .executableTarget(
        name: room.name, dependencies: dependencies, path: "Benchmarks/\(room.name)", swiftSettings: strict)
    case .testProgram:
      return .executableTarget(
        name: room.name, dependencies: dependencies, path: "Tests/\(room.name)", swiftSettings: strict)
    case .fuzzer:
      return .executableTarget(
        name: room.name, dependencies: dependencies, path: "Fuzz", swiftSettings: strict)
    case .test:
      return .testTarget(
        name: room.name, dependencies: dependencies, path: "Tests/\(room.name)",
        exclude: room.exclude, swiftSettings: strict)
    }
  }
)
