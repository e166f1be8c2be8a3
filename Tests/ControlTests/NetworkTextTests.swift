import Testing

@testable import Control

/// What people see, to the letter.
@Suite struct NetworkTextTests {
  private let plain = TextStyle(isColoured: false)

  private func expect(_ text: String, _ wanted: String, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(text == wanted + "\n", sourceLocation: sourceLocation)
  }

  @Test func peers() {
    var quiet = PaperNode.peer
    quiet.id = "peerC-333333-longer-than-what-is-shown"
    quiet.state = .alive
    quiet.path = "via peerB-222222-longer"
    (quiet.isUnseen, quiet.jailed, quiet.isMesh) = (false, false, false)
    (quiet.rttMicroseconds, quiet.clockOffsetMicroseconds, quiet.lastSeen, quiet.ageSeconds) = (nil, nil, nil, nil)
    expect(
      PeerText.render([PaperNode.peer, quiet], style: plain),
      """
      ID              NAME  ADDRESS         STATE                    PATH                   RTT     CLOCK  ROLES     HEIGHT  GPUS  SCORE    AGE  LAST SEEN
      peerB-222222    b     127.0.0.2:7001  suspect, unseen, jailed  tcp outbound, mesh  830 µs  -12.4 ms  provider       7     2     -1  1m 1s  1970-01-01T00:00:01Z
      peerC-333333-l  b     127.0.0.2:7001  alive                    via peerB-222222-l       -         -  provider       7     2     -1      -  never
      """)
    quiet.path = "tcp inbound"
    (quiet.isMesh, quiet.isMuted) = (false, true)
    #expect(PeerText.render([quiet], style: plain).contains(" tcp inbound, muted "))
    #expect(PeerText.render([PeerAnswer](), style: plain) == "no peers known yet\n")
  }

  @Test func aPeer() {
    expect(
      PeerText.render(PaperNode.detail, style: plain),
      """
      id                 peerB-222222
      name               b
      address            127.0.0.2:7001
      record names       127.0.0.2:7001
      reached through    peerC-333333
      state              suspect, unseen, jailed since 1970-01-01T00:00:00Z
      incarnation        3
      record expires     1970-01-01T00:00:03Z
      capabilities       hash1
      agent              linnet/1
      path               tcp outbound, mesh
      rtt                830 µs
      clock              -12.4 ms
      roles              provider
      height             7
      gpus               2
      score              -1
      brought first      4 messages
      not let in         until 1970-01-01T00:01:02Z
      known for          1m 1s
      last seen          1970-01-01T00:00:01Z
      seen at            127.0.0.2:7001
      sees this node at  198.51.100.1:7447, last at 1970-01-01T00:00:04Z
      validator          jailed, 0.0001 credits at stake, since epoch 0, changes in epoch 3

      ACCUSED BY    INCARNATION  AT
      peerC-333333            3  1970-01-01T00:00:02Z

      REFUTED AT            INCARNATION  ACCUSERS
      1970-01-01T00:00:01Z            3  peerD-444444

      CHARGED FOR  COUNT  POINTS
      badFrame         2     100

      CLOSED AT             AT LAST FOR  NOT LET IN FOR
      1970-01-01T00:00:02Z  badFrame     1m

      SLASHED FOR           EPOCH  VIEW  IN BLOCK  REPORTED BY     BURNT  AT
      conflicting-notarize      1     5         8  peerA-111111  0.00005  1970-01-01T00:00:00Z

      LINK      ADDRESS         SINCE                   RTT  RECEIVED  SENT  WAITING  REKEYS
      outbound  127.0.0.2:7001  1970-01-01T00:00:00Z  90 µs   1.5 KiB  12 B      5 B       1

      STREAM  CHANNEL    RECEIVED  SENT  QUEUED  MAY SEND  UNCONSUMED
           1  consensus       8 B   7 B     9 B      10 B        11 B
      """)
  }

  @Test func netcheck() {
    expect(
      NetworkText.render(PaperNode.network, style: plain),
      """
      look   nobody can dial this node

      profile           wan
      listens on        0.0.0.0:7447/udp, 0.0.0.0:7447/tcp
      record names      198.51.100.1:7447
      reached through   peerB-222222
      behind a NAT      yes
      seen at           198.51.100.1:7447 by peerB-222222
      dial back         peerB-222222: not reached, no route
      members           3 alive, 1 suspect, 0 down, 2 left
      links             1 inbound, 2 outbound
      over UDP          2 of 3 have answered
      clock             700.0 ms behind most others'
      local health      1 points slow
      longest datagram  1200 B
      address book      2 tried, 9 new
      not let in        peerD-444444 until 1970-01-01T00:00:00Z, at last for badFrame

      INTERFACE  STATE  ADDRESSES    BEACONS IPV4  BEACONS IPV6
      eth0       up     10.0.0.5/24  joined        unused

      BOOTSTRAP  ADDRESSES       LINKED  LATEST FAILURE
      seed:7447  192.0.2.1:7447  no      refused at 1970-01-01T00:00:06Z

      DNS NAME       NODES  LATEST FAILURE
      nodes.example      3  -

      COUNTER                  COUNT
      udp.datagram.sendFailed      3
      """)
  }

  @Test func pings() {
    var statistics = PingStatistics()
    #expect(!statistics.isAnswered)
    let answers = [
      PingAnswer(sequence: 1, path: .udp, address: "127.0.0.2:7001", rttMicroseconds: 830),
      PingAnswer(sequence: 2, path: .udp, address: "127.0.0.2:7001", rttMicroseconds: 12_430),
      PingAnswer(sequence: 3, path: .udp, error: .timedOut), PingAnswer(sequence: 1, path: .tcp, error: .noLink),
    ]
    var text = ""
    for answer in answers {
      statistics.take(answer)
      text += PingStatistics.render(answer, style: plain)
    }
    #expect(statistics.isAnswered)
    expect(
      text + statistics.rendered(style: plain),
      """
      1 udp  830 µs from 127.0.0.2:7001
      2 udp  12.4 ms from 127.0.0.2:7001
      3 udp  no answer
      1 tcp  not sent: there is no link with it
      PATH  SENT  ANSWERED  LOSS     MIN   MEDIAN      MAX
      udp      3         2  33 %  830 µs  12.4 ms  12.4 ms
      tcp      0         0     -       -        -        -
      """)
  }

  @Test func events() {
    func event(_ kind: EventKind, peer: String? = "peerB-222222", _ detail: EventAnswer.Detail) -> EventAnswer {
      EventAnswer(
        sequence: 1, at: WallTime(microsecondsSinceEpoch: 1_000_000), kind: kind, peer: peer, detail: detail)
    }
    let all: [EventAnswer] = [
      PaperNode.event, event(.member, .init(to: .alive)),
      event(.accusation, .init(accusers: ["peerC-333333"], incarnation: 4)),
      event(.refutation, peer: nil, .init(accusers: ["peerC-333333"], incarnation: 5)),
      event(.linkUp, .init(address: "10.0.0.1:7447", direction: "inbound")),
      event(.linkDown, .init(reason: "nothing heard")),
      event(.dialFailed, .init(address: "10.0.0.1:7447", reason: "refused")),
      event(.scoreClosed, .init(score: -120, banSeconds: 60)),
      event(.addressLearned, peer: nil, .init(address: "198.51.100.1:7447", reporters: 2)),
      event(.addressChanged, peer: nil, .init(addresses: ["10.0.0.2:7447"], before: [])),
      event(.nat, peer: nil, .init(isOn: true, via: ["peerB-222222"])), event(.nat, peer: nil, .init(isOn: false)),
      event(.split, peer: nil, .init(members: 6)), event(.healed, peer: nil, .init(members: 4)),
      event(.socketRebound, peer: nil, .init()), event(.load, peer: nil, .init(isOn: true)),
      event(.load, peer: nil, .init(isOn: false)), event(.gap, peer: nil, .init(missed: 9)),
    ]
    #expect(Set(all.map(\.kind)) == Set(EventKind.allCases), "a kind is not shown here")
    expect(
      all.map { EventText.render($0, style: plain) }.joined(),
      """
      1970-01-01T00:00:01Z  member          peerB-222222 alive -> suspect, accused by peerC-333333
      1970-01-01T00:00:01Z  member          peerB-222222 alive
      1970-01-01T00:00:01Z  accusation      peerB-222222 is accused by peerC-333333
      1970-01-01T00:00:01Z  refutation      this node refuted peerC-333333
      1970-01-01T00:00:01Z  link.up         peerB-222222 at 10.0.0.1:7447, inbound
      1970-01-01T00:00:01Z  link.down       peerB-222222: nothing heard
      1970-01-01T00:00:01Z  dial.failed     10.0.0.1:7447 for peerB-222222: refused
      1970-01-01T00:00:01Z  score.closed    peerB-222222 at -120 points, not let in for 1m
      1970-01-01T00:00:01Z  address.learned 198.51.100.1:7447, seen by 2
      1970-01-01T00:00:01Z  address.changed none -> 10.0.0.2:7447
      1970-01-01T00:00:01Z  nat             nobody can dial this node, reached through peerB-222222
      1970-01-01T00:00:01Z  nat             this node can be dialled again
      1970-01-01T00:00:01Z  split           6 members went down within half a minute
      1970-01-01T00:00:01Z  healed          4 of them are back
      1970-01-01T00:00:01Z  socket.rebound  a socket for datagrams was lost and opened anew
      1970-01-01T00:00:01Z  load            senders of datagrams are asked for a cookie
      1970-01-01T00:00:01Z  load            no sender is asked for a cookie any more
      1970-01-01T00:00:01Z  gap             9 events were forgotten before they were read
      """)
  }

  @Test func spansAndOffsets() {
    #expect(Quantity.span(microseconds: 999_999) == "999.9 ms")
    #expect(Quantity.span(microseconds: 1_500_000) == "1.5 s")
    #expect(Quantity.span(microseconds: 125_000_000) == "2m 5s")
    #expect(Quantity.offset(microseconds: -120_000_000) == "-2m")
    #expect(Quantity.offset(microseconds: .min).hasPrefix("-"))
    #expect(Quantity.offset(microseconds: 0) == "+0 µs")
  }

  /// What peers say of themselves is printed, and is no command to the terminal.
  @Test func noEscapeSequenceOfAPeerIsShown() {
    var peer = PaperNode.peer
    peer.name = "\u{1B}[2J"
    peer.agent = "\u{9B}x"
    let event = EventAnswer(
      sequence: 1, at: WallTime(microsecondsSinceEpoch: 0), kind: .linkDown, detail: .init(reason: "\u{1B}]0;"))
    var detail = PaperNode.detail
    detail.peer = peer
    var network = PaperNode.network
    network.dialBacks[0].reason = "\u{1B}[1m"
    network.verdict[0].text = "\u{7}"
    for text in [
      PeerText.render([peer], style: plain), PeerText.render(detail, style: plain),
      NetworkText.render(network, style: plain), EventText.render(event, style: plain),
    ] {
      #expect(!text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" || $0.value == 0x9B })
    }
  }
}
