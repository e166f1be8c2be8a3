import Config
import Foundation
import Glibc
import Logging
import Primitives
import Wire

/// Keeps trying the bootstrap addresses of node.conf for ever: names are resolved anew each time, and the pause
/// between tries grows from one second to fifteen.
struct Dialer {
  private static let firstPauseSeconds = 1.0
  private static let longestPauseSeconds = 15.0
  private static let linkedPauseSeconds = 5.0

  let bootstrap: [BootstrapAddress]
  let ownID: NodeID
  let logger: Logger
  /// True while a link to the node stands, or, when none is named, to one of the addresses.
  let isLinked: @Sendable ([PeerAddress], NodeID?) async -> Bool
  let dial: @Sendable (PeerAddress, NodeID?) -> Void

  /// Runs until the task is cancelled.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      for entry in bootstrap { group.addTask { await keep(entry) } }
    }
  }

  private func keep(_ entry: BootstrapAddress) async {
    var pause = Dialer.firstPauseSeconds
    let expected = entry.identity.flatMap { NodeID(text: $0) }
    if expected == ownID { return }
    while !Task.isCancelled {
      let addresses = await Dialer.resolve(host: entry.address.host, port: entry.address.port)
      if addresses.isEmpty { logger.info("the bootstrap host \(entry.address.host) has no address now") }
      let linked = await isLinked(addresses, expected)
      if linked {
        pause = Dialer.firstPauseSeconds
      } else {
        for address in addresses where address.isUsable { dial(address, expected) }
      }
      try? await Task.sleep(for: .seconds(linked ? Dialer.linkedPauseSeconds : pause))
      if !linked { pause = min(pause * 2, Dialer.longestPauseSeconds) }
    }
  }

  /// The addresses of a host name or an address text. Resolving blocks, so it has a thread of its own.
  static func resolve(host: String, port: UInt16) async -> [PeerAddress] {
    if let address = PeerAddress(text: "\(host):\(port)") ?? PeerAddress(text: "[\(host)]:\(port)") {
      return [address]
    }
    // The system's lookup can't be ended, and a daemon that stops must not wait for it.
    let (answers, answer) = AsyncStream<[PeerAddress]>.makeStream(bufferingPolicy: .bufferingOldest(1))
    Thread.detachNewThread {
      answer.yield(lookUp(host: host, port: port))
      answer.finish()
    }
    for await addresses in answers { return addresses }
    return []
  }

  private static func lookUp(host: String, port: UInt16) -> [PeerAddress] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var addresses: [PeerAddress] = []
    var next = list
    while let entry = next {
      next = entry.pointee.ai_next
      if let address = PeerAddress(entry.pointee.ai_addr, port: port), !addresses.contains(address) {
        addresses.append(address)
      }
    }
    return addresses
  }
}
