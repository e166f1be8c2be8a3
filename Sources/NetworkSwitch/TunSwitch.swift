import CLinux
import Glibc
import Primitives

/// A host's place at the switch.
package struct SwitchPort: Sendable, Equatable {
  /// The name of the TUN device to make, at most 15 bytes.
  package var device: String
  /// The addresses that lead to it.
  package var addresses: [SwitchAddress]

  /// A port.
  package init(device: String, addresses: [SwitchAddress]) {
    self.device = device
    self.addresses = addresses
  }

  /// Reads `DEVICE=ADDRESS,ADDRESS...`.
  package init?(_ text: String) {
    let parts = text.split(separator: "=", maxSplits: 1)
    guard parts.count == 2 else { return nil }
    let texts = parts[1].split(separator: ",", omittingEmptySubsequences: false)
    let addresses = texts.compactMap { SwitchAddress(String($0)) }
    guard addresses.count == texts.count, (1...15).contains(parts[0].utf8.count) else { return nil }
    self.init(device: String(parts[0]), addresses: addresses)
  }
}

/// Carries IP packets between TUN devices as `SwitchRules` says. Whoever starts it moves each device into a network
/// namespace and gives it its addresses. Everything runs in one thread.
package final class TunSwitch {
  /// A packet is never longer, whatever MTU a device was given.
  private static let maximumPacketBytes = 65_536
  /// Packets that are taken from one device before the others have their turn.
  private static let packetsAtOnce = 64
  private static let maximumConnections = 16

  private let ports: [SwitchPort]
  private let socketPath: String
  private let poller: Int32
  private let devices: [Int32]
  private let listener: Int32
  private var hostOfDevice: [Int32: Int] = [:]
  private var connections: [Int32: SwitchConnection] = [:]
  private var addresses: [[SwitchAddress]]
  private var table = SwitchTable()
  private var rules: SwitchRules
  private var heap = DueHeap()
  private var counters = SwitchCounters()
  private var lateness = SwitchLateness()

  /// Makes the devices and the socket.
  package init(ports: [SwitchPort], socketPath: String, seed: UInt64) throws(SwitchError) {
    guard (1...SwitchRules.maximumHosts).contains(ports.count) else {
      throw SwitchError("a switch has 1 to \(SwitchRules.maximumHosts) hosts, not \(ports.count)")
    }
    self.ports = ports
    self.socketPath = socketPath
    addresses = ports.map(\.addresses)
    rules = SwitchRules(hostCount: ports.count, seed: seed)
    var opened: [Int32] = []
    do throws(SwitchError) {
      poller = linnet_poller_open()
      guard poller >= 0 else { throw SwitchError.system("no epoll", poller) }
      opened.append(poller)
      listener = try SwitchSocket.listen(at: socketPath)
      opened.append(listener)
      var devices: [Int32] = []
      for port in ports {
        let device = linnet_tun_open(port.device)
        guard device >= 0 else { throw SwitchError.system("cannot make the TUN device \(port.device)", device) }
        opened.append(device)
        devices.append(device)
      }
      self.devices = devices
      for descriptor in [listener] + devices {
        let status = linnet_poller_watch(poller, descriptor, 0)
        guard status == 0 else { throw SwitchError.system("cannot watch a descriptor", status) }
      }
    } catch {
      for descriptor in opened { close(descriptor) }
      throw error
    }
    for (index, device) in devices.enumerated() {
      hostOfDevice[device] = index + 1
      table.assign(ports[index].addresses, to: index + 1)
    }
  }

  deinit {
    for descriptor in [poller, listener] + devices + connections.keys.sorted() { close(descriptor) }
    unlink(socketPath)
  }

  /// Carries for as long as the process lives, or until the poller fails.
  package func run() throws(SwitchError) {
    TunSwitch.takePrecedence()
    var ready = [Int32](repeating: 0, count: 64)
    var buffer = [UInt8](repeating: 0, count: TunSwitch.maximumPacketBytes)
    while true {
      var timeout: Int64 = -1
      if let due = heap.nextDue { timeout = max(0, (due - TunSwitch.now()).count) * 1_000 }
      let count = linnet_poller_wait(poller, &ready, Int32(ready.count), timeout)
      guard count >= 0 else { throw SwitchError.system("epoll", count) }
      deliverDue()
      for descriptor in ready.prefix(Int(count)) {
        if let host = hostOfDevice[descriptor] {
          receive(from: host, descriptor, &buffer)
        } else if descriptor == listener {
          accept()
        } else {
          converse(descriptor)
        }
      }
    }
  }

  private static func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
  }

  /// A network does not slow down because its hosts compute: ahead of them where that is allowed, and with timers that
  /// fire when asked and not up to 50 µs later.
  private static func takePrecedence() {
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -10)
    let slack = linnet_open("/proc/self/timerslack_ns", O_WRONLY, 0)
    guard slack >= 0 else { return }
    _ = write(slack, "1", 1)
    close(slack)
  }

  // MARK: Packets

  private func receive(from host: Int, _ device: Int32, _ buffer: inout [UInt8]) {
    for _ in 0..<TunSwitch.packetsAtOnce {
      let count = read(device, &buffer, buffer.count)
      guard count > 0 else {
        // EIO while the device is down: its host's namespace may bring it up again. It went for good with its namespace when
        // the descriptor is bad, and would be ready for ever.
        if count < 0, errno == EBADFD { _ = linnet_poller_forget(poller, device) }
        return
      }
      take(buffer[..<count], from: host)
    }
  }

  private func take(_ packet: ArraySlice<UInt8>, from sender: Int) {
    guard let target = packet.withUnsafeBytes({ PacketTarget($0) }) else {
      counters.malformedPackets += 1
      return
    }
    if let address = packet.withUnsafeBytes({ PacketTarget.linkLocalSender($0) }) { table.learn(address, of: sender) }
    switch target {
    case .all: for host in 1...ports.count where host != sender { pass(packet, from: sender, to: host) }
    case .one(let address):
      guard let host = table.host(of: address) else {
        counters.unroutedPackets += 1
        return
      }
      pass(packet, from: sender, to: host)
    }
  }

  private func pass(_ packet: ArraySlice<UInt8>, from sender: Int, to receiver: Int) {
    let now = TunSwitch.now()
    guard
      case .carried(let due, let copies) = rules.judge(byteCount: packet.count, from: sender, to: receiver, now: now)
    else { return }
    for _ in 0..<copies {
      if due <= now {
        deliver(packet, to: receiver)
      } else if !heap.insert(Array(packet), to: receiver, due: due) {
        counters.overflowedPackets += 1
      }
    }
  }

  private func deliver(_ packet: ArraySlice<UInt8>, to host: Int) {
    let written = packet.withUnsafeBytes { write(devices[host - 1], $0.baseAddress, $0.count) }
    if written != packet.count { counters.refusedPackets += 1 }
  }

  private func deliverDue() {
    let now = TunSwitch.now()
    while let entry = heap.pop(by: now) {
      deliver(entry.packet[...], to: entry.host)
      lateness.record((now - entry.due).count)
    }
  }

  // MARK: Rules

  private func accept() {
    let descriptor = linnet_accept(listener)
    guard descriptor >= 0 else { return }
    guard connections.count < TunSwitch.maximumConnections, linnet_poller_watch(poller, descriptor, 0) == 0 else {
      close(descriptor)
      return
    }
    connections[descriptor] = SwitchConnection(descriptor: descriptor)
  }

  private func converse(_ descriptor: Int32) {
    guard var connection = connections[descriptor] else { return }
    guard let lines = connection.read(), connection.send(lines.flatMap(answer)) else {
      connections[descriptor] = nil
      close(descriptor)
      return
    }
    connections[descriptor] = connection
    _ = linnet_poller_watch(poller, descriptor, connection.isWaiting ? 1 : 0)
  }

  private func answer(_ line: ArraySlice<UInt8>) -> [UInt8] {
    var answer = SwitchAnswer()
    do throws(SwitchError) {
      let request = try SwitchJSON.decode(SwitchRequest.self, line)
      try follow(request)
      answer.state = state()
    } catch {
      answer.error = error.description
    }
    return (try? SwitchJSON.line(answer)) ?? []
  }

  /// Does all that a request asks for, or nothing.
  private func follow(_ request: SwitchRequest) throws(SwitchError) {
    let actions = try SwitchAction.parse(
      request.words ?? [], hosts: request.hosts ?? [], pairs: request.pairs ?? [], hostCount: ports.count)
    for action in actions {
      if case .kill = action { throw SwitchError("the switch ends no daemons: `linnet testnet net kill` does") }
      if case .start = action { throw SwitchError("the switch starts no daemons: `linnet testnet net start` does") }
    }
    for action in actions {
      switch action {
      case .set(let condition, let scope): rules.set(condition, in: scope)
      case .clear(let scope): rules.clear(scope)
      case .partition(let groups): rules.partition(groups)
      case .oneWay(let from, let receivers): rules.allowOneWay(from: from, to: receivers)
      case .deaf(let numbers): rules.deafen(numbers)
      case .mute(let numbers): rules.mute(numbers)
      case .heal: rules.heal()
      case .address(let host, let list):
        addresses[host - 1] = list
        table.assign(list, to: host)
      case .kill, .start: break
      }
    }
  }

  private func state() -> SwitchState {
    let numbers = 1...ports.count
    var sent = Array(repeating: SwitchTraffic(), count: ports.count)
    var received = sent
    var paths: [SwitchState.Path] = []
    for from in numbers {
      for to in numbers {
        let traffic = rules.traffic(SwitchPath(from: from, to: to))
        guard traffic.offeredPackets > 0 else { continue }
        sent[from - 1].add(traffic)
        received[to - 1].add(traffic)
        paths.append(SwitchState.Path(from: from, to: to, traffic: traffic))
      }
    }
    defer { lateness = SwitchLateness() }
    return SwitchState(
      rules: rules.view,
      hosts: numbers.map { number in
        SwitchState.Host(
          host: number, device: ports[number - 1].device, addresses: addresses[number - 1].map(\.description),
          sent: sent[number - 1], received: received[number - 1])
      },
      paths: paths, counters: counters, packetsUnderWay: heap.count, lateness: lateness.summary)
  }
}
