// Load for the benchmarks: signs transactions beforehand, joins the network as a peer that is no member, and spreads
// them as any peer does. It also says when each node told it that a block is final.
//
// bench-load accounts SEED COUNT
//   prints the ids of accounts, for a genesis.
// bench-load verify THREADS SECONDS
//   prints how many signatures of a transfer's size libsodium verifies in a second on that many threads together.
// bench-load run --genesis FILE --seed N --accounts N --kind transfer|open|job --count N [--nonce N] [--to N] ADDRESS@ID ...
//   prints `ready` when all is signed and all links stand, then takes commands from stdin: `send N`, `quit`; prints
//   `sent TOTAL` after each, and `final NODE EPOCH VIEW BLOCK MICROSECONDS` as certificates come.

import Config
import Glibc
import Logging
import NIOCore
import NIOPosix
import Primitives
import Sodium
import Synchronization
import Transport
import Wire

func fail(_ text: String) -> Never {
  let line = "bench-load: \(text)\n"
  write(2, line, line.utf8.count)
  exit(1)
}

/// Microseconds since 1970.
func wallMicroseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}

/// The account number `index` of a seed.
func key(seed: UInt64, index: Int) -> SigningKey {
  let text = "linnet benchmark account \(seed) \(index)"
  guard let key = try? SigningKey(seed: Digest(hashing: Array(text.utf8)).bytes) else { fail("no memory for a key") }
  return key
}

/// Does the parts of some work on all processors.
func inParallel(_ threads: Int, _ body: @escaping @Sendable (Int) -> Void) async {
  await withTaskGroup(of: Void.self) { group in
    for thread in 0..<threads { group.addTask { body(thread) } }
  }
}

/// Verifies signatures over 200 bytes, about a signed transfer, for so long; how many in a second.
func verifyRate(threads: Int, seconds: Double) async -> Double {
  let signer = key(seed: 0, index: 0)
  let messages = (0..<64).map { index in [UInt8](repeating: UInt8(index), count: 200) }
  let signatures = messages.map { signer.sign($0) }
  let total = Atomic(0)
  let started = ContinuousClock.now
  await withTaskGroup(of: Int.self) { group in
    for _ in 0..<threads {
      group.addTask {
        var count = 0
        while ContinuousClock.now - started < .seconds(seconds) {
          for (message, signature) in zip(messages, signatures) {
            guard Sodium.verify(signature, of: message, by: signer.id) else { fail("a good signature was refused") }
          }
          count += messages.count
        }
        return count
      }
    }
    for await count in group { total.add(count, ordering: .relaxed) }
  }
  let passed = ContinuousClock.now - started
  return Double(total.load(ordering: .relaxed))
    / (Double(passed.components.seconds) + Double(passed.components.attoseconds) / 1e18)
}

/// What `run` is told.
struct Options {
  var genesis = ""
  var seed: UInt64 = 1
  var accounts = 64
  var kind = "transfer"
  var count = 0
  var nonce: UInt64 = 0
  /// The number from which the accounts that `open` opens count.
  var to = 0
  var nodes: [(address: PeerAddress, id: NodeID)] = []

  init(_ words: [String]) {
    var words = words[...]
    while let word = words.popFirst() {
      func value() -> String {
        guard let value = words.popFirst() else { fail("\(word) needs a value") }
        return value
      }
      func number() -> Int {
        guard let number = Int(value()), number >= 0 else { fail("\(word) needs a number") }
        return number
      }
      switch word {
      case "--genesis": genesis = value()
      case "--seed": seed = UInt64(number())
      case "--accounts": accounts = max(1, number())
      case "--kind": kind = value()
      case "--count": count = number()
      case "--nonce": nonce = UInt64(number())
      case "--to": to = number()
      default:
        let parts = word.split(separator: "@").map(String.init)
        guard parts.count == 2, let address = Options.address(parts[0]), let id = NodeID(text: parts[1]) else {
          fail("'\(word)' is not IP:PORT@ID")
        }
        nodes.append((address, id))
      }
    }
    if nodes.isEmpty { fail("no nodes") }
  }

  private static func address(_ text: String) -> PeerAddress? {
    let parts = text.split(separator: ":").map(String.init)
    guard parts.count == 2, let port = UInt16(parts[1]) else { return nil }
    return PeerAddress(ip: parts[0].split(separator: ".").compactMap { UInt8($0) }, port: port)
  }
}

/// Signs `options.count` transactions, round the accounts. Those of one account go to one node, in their order.
func transactions(_ options: Options, genesis: Genesis) async -> [Envelope] {
  let count = options.count
  let signed = Mutex([Int: [Envelope]]())
  let threads = 2
  let expires = UInt64(wallMicroseconds() / 1_000) + 3_600_000
  await inParallel(threads) { thread in
    var mine: [Envelope] = []
    for account in stride(from: thread, to: options.accounts, by: threads) {
      let key = key(seed: options.seed, index: account)
      let signer = Signer(id: key.id, networkID: genesis.networkID) { key.sign($0) }
      for (round, index) in stride(from: account, to: count, by: options.accounts).enumerated() {
        let body = MessageBody.transaction(
          Transaction(
            nonce: options.nonce + UInt64(round), feeMicrocredits: genesis.parameters.minimumFeeMicrocredits,
            expiresMilliseconds: expires, action: action(options, index, genesis)))
        mine.append(signer.seal(body, sequence: UInt64(wallMicroseconds())).value.envelope)
      }
    }
    signed.withLock { $0[thread] = mine }
  }
  // Back into the order of indexes.
  var ordered = [Envelope?](repeating: nil, count: count)
  for (thread, envelopes) in signed.withLock({ $0 }) {
    var next = envelopes.makeIterator()
    for account in stride(from: thread, to: options.accounts, by: threads) {
      for index in stride(from: account, to: count, by: options.accounts) { ordered[index] = next.next() }
    }
  }
  return ordered.compactMap { $0 }
}

/// The action number `index`.
func action(_ options: Options, _ index: Int, _ genesis: Genesis) -> TransactionAction {
  switch options.kind {
  case "transfer":
    return .transfer(to: genesis.balances[index % genesis.balances.count].account, amountMicrocredits: 1)
  case "open":
    let digest = Digest(hashing: Array("linnet benchmark opened \(options.seed) \(options.to + index)".utf8))
    return .transfer(
      to: NodeID(digest.value), amountMicrocredits: genesis.parameters.entryDepositMicrocredits)
  case "job":
    let now = UInt64(wallMicroseconds() / 1_000)
    return .submitJob(
      JobTerms(
        specification: Digest(hashing: Array("job \(index)".utf8)),
        resources: Resources(cpuMilli: 100, memoryBytes: 1 << 26, diskBytes: 1 << 26), gpuCount: 0,
        gpuMemoryBytes: 0, labels: [Label(key: "benchmark", value: "nowhere")], driver: "native", isolation: .rlimit,
        mayRunOnSubmitter: false,
        replication: 1, retries: 0, maximumPricePerSecondMicrocredits: 1, wallLimitMilliseconds: 1_000,
        startDeadlineMilliseconds: now + 86_400_000))
  default: fail("--kind is transfer, open or job")
  }
}

/// Prints lines whole, from any thread. Not by stdio: to flush it would wait for the line that `readLine` waits for.
let output = Mutex(())
func say(_ line: String) {
  var text = (line + "\n")[...].utf8
  output.withLock { _ in
    while !text.isEmpty {
      let count = Array(text).withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      text = text.dropFirst(count)
    }
  }
}

func run(_ options: Options) async throws {
  let genesis = try GenesisDocument.read(path: options.genesis)
  var logger = Logger(label: "bench-load")
  logger.logLevel = .error
  let ids = options.nodes.map(\.id)
  let up = Mutex(Set<NodeID>())
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  // Bound once it is there: its own events refer to it.
  let reading = Mutex<LinkEndpoint?>(nil)
  let endpoint = try LinkEndpoint(
    identity: try SigningKey.generate(), networkID: genesis.networkID, group: group, logger: logger
  ) { event in
    switch event {
    case .up(let id, _, _): up.withLock { _ = $0.insert(id) }
    case .down(let id, let reason):
      up.withLock { _ = $0.remove(id) }
      say("down \(id) \(reason)")
    case .dialFailed(let address, _, let error): say("failed \(address) \(error)")
    case .congested: break
    case .received(let id, let channel, let bytes):
      reading.withLock { $0 }?.consumed(bytes.count, channel: channel, from: id)
      // What the nodes spread to this peer, too, is theirs to do and nothing to look at here.
      guard channel == .consensus, case .consensus(let message)? = try? LinkMessage(decoding: bytes) else { return }
      let now = wallMicroseconds()
      let certificates: [Certificate] =
        switch message {
        case .certificate(let certificate): [certificate]
        case .certificates(let certificates): certificates
        default: []
        }
      for subject in certificates.map(\.subject) where subject.kind == .finalize {
        let node = (ids.firstIndex(of: id) ?? -1) + 1
        say("final \(node) \(subject.epoch) \(subject.view) \(subject.blockID) \(now)")
      }
    }
  }
  reading.withLock { $0 = endpoint }
  try await endpoint.start(listen: [])
  let all = await transactions(options, genesis: genesis)
  for (address, id) in options.nodes { endpoint.dial(address, expecting: id) }
  let deadline = ContinuousClock.now + .seconds(15)
  while up.withLock({ $0.count }) < ids.count {
    guard ContinuousClock.now < deadline else { fail("not all links stand after 15 s") }
    try await Task.sleep(for: .milliseconds(10))
  }
  say("ready")
  var next = 0
  while let line = readLine() {
    let words = line.split(separator: " ")
    guard words.first == "send", let wanted = words.last.flatMap({ Int($0) }) else { break }
    let end = min(all.count, next + wanted)
    var shares = [NodeID: [Envelope]]()
    for index in next..<end { shares[ids[index % options.accounts % ids.count], default: []].append(all[index]) }
    for (id, share) in shares {
      for start in stride(from: 0, to: share.count, by: GossipMessage.maximumEnvelopes) {
        let part = Array(share[start..<min(share.count, start + GossipMessage.maximumEnvelopes)])
        let bytes = LinkMessage.gossip(.publish(part)).encoded
        while !endpoint.send(bytes, channel: .broadcast, to: id) {
          guard up.withLock({ $0.contains(id) }) else { fail("the link to \(id) is down") }
          try await Task.sleep(for: .milliseconds(1))
        }
      }
    }
    next = end
    say("sent \(next)")
  }
  await endpoint.shutdown()
  try await group.shutdownGracefully()
}

let words = Array(CommandLine.arguments.dropFirst())
do {
  switch words.first {
  case "accounts":
    guard words.count == 3, let seed = UInt64(words[1]), let count = Int(words[2]) else { fail("accounts SEED COUNT") }
    for index in 0..<count { print(key(seed: seed, index: index).id) }
  case "verify":
    guard words.count == 3, let threads = Int(words[1]), let seconds = Double(words[2]) else {
      fail("verify THREADS SECONDS")
    }
    print(await verifyRate(threads: threads, seconds: seconds))
  case "run": try await run(Options(Array(words.dropFirst())))
  default: fail("accounts, verify or run")
  }
} catch {
  fail("\(error)")
}
