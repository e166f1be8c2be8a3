import Primitives
import Testing

@testable import NetworkSwitch

@Suite("the parts of the switch") struct SwitchPartsTests {
  private func address(_ text: String) throws -> SwitchAddress { try #require(SwitchAddress(text)) }

  /// A packet of which only the head is made, as far as the switch reads it.
  private func target(_ destination: String) throws -> PacketTarget? {
    let bytes = try address(destination).bytes
    let head: [UInt8] =
      bytes.count == 4 ? [0x45] + [UInt8](repeating: 0, count: 15) : [0x60] + [UInt8](repeating: 0, count: 23)
    return (head + bytes).withUnsafeBytes { PacketTarget($0) }
  }

  @Test("addresses are read and written; what is none is refused") func addresses() throws {
    for text in ["10.78.1.3", "10.200.0.0/16", "fd78:1::3", "::", "fd78::/16", "0.0.0.0/0"] {
      #expect(try address(text).description == text)
    }
    #expect(try address("10.200.7.9/16").description == "10.200.0.0/16")
    for text in ["", "10.1.2", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/8/8", "fd78::g", "fd78::/129", "10.1.2.3/-1"] {
      #expect(SwitchAddress(text) == nil, "\(text)")
    }
  }

  @Test("a packet's destination, of both families") func destinations() throws {
    #expect(try target("10.78.1.3") == .one(address("10.78.1.3")))
    #expect(try target("fd78:1::3") == .one(address("fd78:1::3")))
    for text in ["239.76.78.7", "224.0.0.1", "255.255.255.255", "ff02::4c4e:7"] { #expect(try target(text) == .all) }
    for bytes: [UInt8] in [
      [], [0x45], [UInt8](repeating: 0x45, count: 19), [UInt8](repeating: 0x60, count: 39), [0x50],
    ] {
      #expect(bytes.withUnsafeBytes { PacketTarget($0) } == nil)
    }
    #expect([UInt8](repeating: 0x50, count: 60).withUnsafeBytes { PacketTarget($0) } == nil)
  }

  @Test("a table finds an address before a prefix, and the longest prefix first") func table() throws {
    var table = SwitchTable()
    try table.assign([address("10.78.1.1"), address("10.200.0.0/16")], to: 1)
    try table.assign([address("10.78.1.2"), address("10.200.5.0/24"), address("fd78::/16")], to: 2)
    #expect(try table.host(of: address("10.78.1.1")) == 1)
    #expect(try table.host(of: address("10.200.4.9")) == 1)
    #expect(try table.host(of: address("10.200.5.9")) == 2)
    #expect(try table.host(of: address("fd78:9::1")) == 2)
    #expect(try table.host(of: address("10.78.1.3")) == nil)
    #expect(try table.host(of: address("fc00::1")) == nil)
    try table.assign([address("10.78.1.102")], to: 2)
    #expect(try table.host(of: address("10.78.1.2")) == nil && table.host(of: address("10.78.1.102")) == 2)
    #expect(try table.host(of: address("10.200.5.9")) == 1, "its prefixes are gone too")
  }

  @Test("link-local addresses are learned from what is sent, the newest of each host") func learning() throws {
    let from = try address("fe80::7")
    let packet = [0x60] + [UInt8](repeating: 0, count: 7) + from.bytes + [UInt8](repeating: 0xff, count: 16)
    #expect(packet.withUnsafeBytes { PacketTarget.linkLocalSender($0) } == from)
    let other = packet.map { $0 == 0xfe ? 0xfd : $0 }
    #expect(other.withUnsafeBytes { PacketTarget.linkLocalSender($0) } == nil, "no other address is believed")
    #expect([UInt8](repeating: 0x45, count: 40).withUnsafeBytes { PacketTarget.linkLocalSender($0) } == nil)
    #expect(packet.prefix(39).withUnsafeBytes { PacketTarget.linkLocalSender($0) } == nil)

    var table = SwitchTable()
    table.learn(from, of: 2)
    #expect(table.host(of: from) == 2)
    table.learn(from, of: 1)
    #expect(table.host(of: from) == 1)
    for number in 1...SwitchTable.maximumLearned { try table.learn(address("fe80::1:\(number)"), of: 1) }
    #expect(try table.host(of: from) == nil && table.host(of: address("fe80::1:1")) == 1)
    table.learn(from, of: 2)
    #expect(try table.host(of: address("fe80::1:1")) == 1, "one host's addresses push out no other's")
  }

  @Test("packets leave by their time, and those of one time in the order they came") func heap() throws {
    var heap = DueHeap()
    var generator = SeededGenerator(seed: 3)
    var expected: [(due: Int64, number: Int)] = []
    for number in 0..<2_000 {
      let due = Int64(generator.next(below: 300))
      expected.append((due, number))
      let isIn = heap.insert([UInt8(number & 255)], to: number, due: Instant(microseconds: due))
      #expect(isIn)
    }
    expected.sort { ($0.due, $0.number) < ($1.due, $1.number) }
    for (due, number) in expected {
      #expect(heap.nextDue == Instant(microseconds: due))
      let early = heap.pop(by: Instant(microseconds: due - 1))
      let entry = heap.pop(by: Instant(microseconds: due))
      #expect(early == nil && entry?.host == number)
    }
    #expect(heap.count == 0 && heap.nextDue == nil)
  }

  @Test("more packets than may be under way are refused") func fullHeap() {
    var heap = DueHeap()
    for _ in 0..<DueHeap.maximumCount { _ = heap.insert([], to: 1, due: .zero) }
    var isIn = heap.insert([], to: 1, due: .zero)
    #expect(!isIn && heap.count == DueHeap.maximumCount)
    _ = heap.pop(by: .zero)
    isIn = heap.insert([], to: 1, due: .zero)
    #expect(isIn)
  }

  @Test("lateness is summed up within a factor of two") func lateness() {
    var lateness = SwitchLateness()
    #expect(lateness.summary == .init(packets: 0, medianMicroseconds: 0, p99Microseconds: 0, mostMicroseconds: 0))
    for _ in 0..<98 { lateness.record(10) }
    lateness.record(500)
    lateness.record(3_000)
    let summary = lateness.summary
    #expect(summary.packets == 100 && (10..<20).contains(summary.medianMicroseconds))
    #expect((500..<1_000).contains(summary.p99Microseconds) && summary.mostMicroseconds == 3_000)
    lateness.record(-5)
    #expect(lateness.summary.packets == 101)
  }

  @Test("ports are read; what is none is refused") func ports() throws {
    let port = try #require(SwitchPort("ln1t1=10.78.1.1,fd78:1::1"))
    #expect(port.device == "ln1t1" && port.addresses.map(\.description) == ["10.78.1.1", "fd78:1::1"])
    for text in ["ln1t1", "=10.78.1.1", "ln1t1=", "ln1t1=x", "ln1t1=10.78.1.1,", "longer-than-15-bytes=10.78.1.1"] {
      #expect(SwitchPort(text) == nil, "\(text)")
    }
  }

  @Test("messages are lines of JSON") func messages() throws {
    var request = SwitchRequest()
    request.words = ["loss", "5%"]
    let line = try SwitchJSON.line(request)
    #expect(String(decoding: line, as: UTF8.self) == "{\"words\":[\"loss\",\"5%\"]}\n")
    #expect(try SwitchJSON.decode(SwitchRequest.self, line.dropLast()) == request)
    #expect(throws: SwitchError.self) { try SwitchJSON.decode(SwitchRequest.self, Array("{]".utf8)) }
  }
}
