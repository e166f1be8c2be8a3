// A user-space switch for network namespaces: carries IPv4 packets between TUN devices, each after a fixed delay. It
// makes the devices and carries; whoever started it moves each device into its namespace and gives it its address
// (Benchmarks/lab.py). No queueing discipline of the kernel is needed.
//
// bench-switch --delay-us 25000 DEVICE=ADDRESS ... [--direct DEVICE=ADDRESS ...]
//
// What goes from or to a direct device is not delayed: an observer sits there. Prints `ready`, carries until stdin is
// closed, and prints what it carried and how late it was as JSON.

import Glibc

/// A TUN device: packets written to it are received by the host that has the device, and the other way round.
struct Port {
  let descriptor: Int32
  let address: [UInt8]
  let isDirect: Bool

  /// Makes a device; it is gone when the descriptor is closed.
  init?(device: String, address: String, isDirect: Bool) {
    let parts = address.split(separator: ".").compactMap { UInt8($0) }
    guard parts.count == 4, device.utf8.count < Int(IFNAMSIZ) else { return nil }
    let descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    // struct ifreq: the name, then the flags IFF_TUN | IFF_NO_PI.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<device.utf8.count, with: device.utf8)
    request[16] = 0x01
    request[17] = 0x10
    let setInterface: UInt = 0x4004_54ca
    let status = request.withUnsafeMutableBytes { bytes -> Int32 in
      guard let address = bytes.baseAddress else { return -1 }
      return ioctl(descriptor, setInterface, address)
    }
    guard status == 0
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    self.address = parts
    self.isDirect = isDirect
  }
}

/// Nanoseconds of the monotonic clock.
func monotonic() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Carries packets. The delay is the same for all that are delayed, so the first to come is the first to go.
struct Switch {
  private struct Waiting {
    var due: Int64
    var port: Int
    var packet: [UInt8]
  }

  /// Packets that wait at most; over it they are dropped, as by any switch.
  private static let maximumWaiting = 65_536
  private static let maximumPacket = 65_536
  private static let packetsAtOnce = 64

  let ports: [Port]
  let delay: Int64
  private var waiting: [Waiting] = []
  private var first = 0
  private(set) var packets = 0
  private(set) var bytes = 0
  private(set) var dropped = 0
  /// Microseconds that packets left after they were due.
  private(set) var lateness: [Int32] = []

  init(ports: [Port], delayMicroseconds: Int64) {
    self.ports = ports
    delay = delayMicroseconds * 1_000
    lateness.reserveCapacity(1 << 20)
  }

  /// Carries until standard input is closed.
  mutating func run() {
    var buffer = [UInt8](repeating: 0, count: Switch.maximumPacket)
    while true {
      var timeout = timespec(tv_sec: 3_600, tv_nsec: 0)
      if first < waiting.count {
        let rest = max(0, waiting[first].due - monotonic())
        timeout = timespec(tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
      }
      // `main` has seen to it that all descriptors fit the first word.
      var readable = fd_set()
      readable.__fds_bits.0 = ports.reduce(1) { $0 | 1 << $1.descriptor }
      guard pselect(64, &readable, nil, nil, &timeout, nil) >= 0 else { continue }
      deliverDue()
      if readable.__fds_bits.0 & 1 != 0 { return }
      for index in ports.indices where readable.__fds_bits.0 & 1 << ports[index].descriptor != 0 {
        for _ in 0..<Switch.packetsAtOnce {
          let count = read(ports[index].descriptor, &buffer, buffer.count)
          guard count > 0 else { break }
          take(buffer[..<count], from: index)
        }
      }
    }
  }

  private mutating func take(_ packet: ArraySlice<UInt8>, from source: Int) {
    // IPv4 only; the destination is bytes 16 to 19.
    guard packet.count >= 20, packet[0] >> 4 == 4,
      let target = ports.firstIndex(where: { $0.address.elementsEqual(packet[16..<20]) })
    else { return }
    if ports[source].isDirect || ports[target].isDirect { return send(packet, to: target) }
    guard waiting.count - first < Switch.maximumWaiting else {
      dropped += 1
      return
    }
    waiting.append(Waiting(due: monotonic() + delay, port: target, packet: Array(packet)))
  }

  private mutating func send(_ packet: ArraySlice<UInt8>, to target: Int) {
    let written = packet.withUnsafeBytes { write(ports[target].descriptor, $0.baseAddress, $0.count) }
    packets += 1
    bytes += packet.count
    if written != packet.count { dropped += 1 }
  }

  private mutating func deliverDue() {
    let now = monotonic()
    while first < waiting.count, waiting[first].due <= now {
      let next = waiting[first]
      first += 1
      send(next.packet[...], to: next.port)
      if lateness.count < lateness.capacity { lateness.append(Int32(clamping: (now - next.due) / 1_000)) }
    }
    if first > 4_096 {
      waiting.removeFirst(first)
      first = 0
    }
  }
}

func fail(_ text: String) -> Never {
  let line = "bench-switch: \(text)\n"
  write(2, line, line.utf8.count)
  exit(1)
}

func main() {
  var ports: [Port] = []
  var delay: Int64 = 25_000
  var isDirect = false
  var words = CommandLine.arguments.dropFirst()
  while let word = words.popFirst() {
    switch word {
    case "--delay-us":
      guard let value = words.popFirst().flatMap({ Int64($0) }), value >= 0 else { fail("--delay-us needs a number") }
      delay = value
    case "--direct": isDirect = true
    default:
      let parts = word.split(separator: "=").map(String.init)
      guard parts.count == 2, let port = Port(device: parts[0], address: parts[1], isDirect: isDirect) else {
        fail("cannot make \(word): \(String(cString: strerror(errno)))")
      }
      ports.append(port)
      isDirect = false
    }
  }
  guard ports.allSatisfy({ $0.descriptor < 63 }) else { fail("too many devices") }
  guard ports.count >= 2 else { fail("usage: bench-switch --delay-us N DEVICE=ADDRESS ... [--direct DEVICE=ADDRESS]") }
  // Timers fire when asked, not up to 50 µs later.
  let slack = open("/proc/self/timerslack_ns", O_WRONLY | O_CLOEXEC)
  if slack >= 0 {
    write(slack, "1", 1)
    close(slack)
  }
  print("ready")
  fflush(nil)
  var carrier = Switch(ports: ports, delayMicroseconds: delay)
  carrier.run()
  let late = carrier.lateness.sorted()
  func share(_ percent: Int) -> Int32 { late.isEmpty ? 0 : late[min(late.count - 1, late.count * percent / 100)] }
  print(
    """
    {"packets": \(carrier.packets), "bytes": \(carrier.bytes), "dropped": \(carrier.dropped), \
    "lateMicroseconds": {"median": \(share(50)), "p99": \(share(99)), "most": \(late.last ?? 0)}}
    """)
}

main()
