import Primitives
import Sodium
import Testing
import Wire

@testable import Transport

/// What comes and is no whole frame: how much all links may hold, and which of them gives way.
@Suite(.timeLimit(.minutes(1))) struct HeldBytesTests {
  @Test func whatIsHeldWeighsByItsTime() {
    func at(_ milliseconds: Int64) -> Instant { Instant(microseconds: milliseconds * 1_000) }
    var held = HeldBytes()
    #expect(held.byteCount == 0 && held.claim(at(5)) == 0)
    held.update(.sync, byteCount: 100, hasHandedOn: false, now: at(1_000))
    held.update(.services, byteCount: 10, hasHandedOn: false, now: at(1_010))
    // What comes this moment counts, too.
    #expect(held.byteCount == 110 && held.claim(at(1_010)) == 100 * 10 + 10)
    // That more bytes come makes a frame no younger, and a whole one does.
    held.update(.sync, byteCount: 200, hasHandedOn: false, now: at(1_020))
    #expect(held.claim(at(1_020)) == 200 * 20 + 10 * 10)
    held.update(.sync, byteCount: 200, hasHandedOn: true, now: at(1_020))
    #expect(held.claim(at(1_030)) == 200 * 10 + 10 * 20)
    held.update(.sync, byteCount: 0, hasHandedOn: true, now: at(1_040))
    held.update(.sync, byteCount: 7, hasHandedOn: false, now: at(2_000))
    #expect(held.byteCount == 17 && held.claim(at(2_002)) == 7 * 2 + 10 * 992)
    // However much, and however long.
    held.update(.sync, byteCount: 1 << 40, hasHandedOn: false, now: at(3_000))
    #expect(held.claim(Instant(microseconds: .max)) == ((1 << 40) + 10) * 3_600_000)
  }

  private static let openings = YamuxFrame.openings()
  private static let ping = YamuxFrame(YamuxFrame.ping, flags: YamuxFrame.syn, length: 12).bytes

  private static func connect(to node: TestNode, as key: SigningKey) throws -> RawPeer {
    let raw = RawPeer(connectingTo: node.address)
    try raw.shake(.initiator, key: key)
    raw.say(openings)
    return raw
  }

  /// Sends the beginning of a frame, and returns when it was taken: a ping behind it is answered.
  private static func begin(_ raw: RawPeer, _ channel: LinkChannel, sending count: Int, of all: Int) {
    raw.say(YamuxFrame.data(channel, YamuxFrame.prefix(all) + [UInt8](repeating: 1, count: count)) + ping)
    while let frame = raw.next(YamuxFrame.ping), frame.flags != YamuxFrame.ack || frame.length != 12 {}
  }

  @Test func whoParksHalfAFrameGivesWayToWhoSendsALongOne() async throws {
    let node = try await TestNode { $0.reassemblyByteCount = 100_000 }
    let (parked, sender) = (
      try Self.connect(to: node, as: .generate()), try Self.connect(to: node, as: .generate())
    )
    Self.begin(parked, .sync, sending: 40_000, of: 40_001)
    // Its claim is bytes times time: in these 50 ms it gets ahead of the frame that comes in one go.
    try await Task.sleep(for: .milliseconds(50))
    sender.say(YamuxFrame.data(.sync, YamuxFrame.prefix(62_001) + [UInt8](repeating: 2, count: 62_000)))
    #expect(parked.goodbye() == .protocolError)
    await eventually { node.log.downs == [.violation("reassemblyLimit")] }
    // What the closed link held is free again.
    sender.say(YamuxFrame.data(.sync, [2]))
    await eventually { node.log.received.map(\.bytes) == [[UInt8](repeating: 2, count: 62_001)] }
    Self.begin(sender, .services, sending: 60_000, of: 60_001)
    sender.say(YamuxFrame.data(.services, [3]))
    await eventually { node.log.received.count == 2 }
    await node.endpoint.shutdown()
  }

  @Test func aPreferredNodeGivesWayLast() async throws {
    let node = try await TestNode { $0.reassemblyByteCount = 100_000 }
    let keys = [try SigningKey.generate(), try SigningKey.generate()]
    node.endpoint.prefer(Set(keys.map(\.id)))
    let (old, new) = (try Self.connect(to: node, as: keys[0]), try Self.connect(to: node, as: keys[1]))
    let stranger = try Self.connect(to: node, as: .generate())
    Self.begin(old, .sync, sending: 58_000, of: 60_000)
    // Its claim, bytes times time, must be the greatest.
    try await Task.sleep(for: .milliseconds(50))
    Self.begin(stranger, .sync, sending: 4_000, of: 60_000)
    new.say(YamuxFrame.data(.sync, YamuxFrame.prefix(60_000) + [UInt8](repeating: 2, count: 40_000)))
    #expect(stranger.goodbye() == .protocolError)
    // Those two are within the limit until one goes on.
    new.say(YamuxFrame.data(.sync, [UInt8](repeating: 2, count: 3_000)))
    #expect(old.goodbye() == .protocolError)
    new.say(YamuxFrame.data(.sync, [UInt8](repeating: 2, count: 17_000)))
    await eventually { node.log.received.count == 1 }
    await eventually { node.log.downs.count == 2 }
    await node.endpoint.shutdown()
  }
}
