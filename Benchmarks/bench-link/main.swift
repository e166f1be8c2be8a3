// What a link and a datagram cost against what their parts cost, all in one process and meant for one processor, which
// network-bench pins it to. Every round measures each part and then the whole, so that a machine that slows down slows all
// of them.
//
// bench-link links|datagrams ROUNDS SECONDS
//   prints a line of JSON for each round, with seconds by the wall and of the processor: for a byte, a datagram, or for a
//   side of a handshake and its parts. SECONDS is how long each figure is measured.

import Glibc

guard CommandLine.arguments.count == 4, ["links", "datagrams"].contains(CommandLine.arguments[1]),
  let rounds = Int(CommandLine.arguments[2]), rounds > 0,
  let seconds = Double(CommandLine.arguments[3]), seconds > 0
else { fail("usage: bench-link links|datagrams ROUNDS SECONDS") }

func show(_ figures: [(String, Spent)]) {
  print("{" + figures.map { "\"\($0.0)\": [\($0.1.wall), \($0.1.processor)]" }.joined(separator: ", ") + "}")
  fflush(nil)
}

if CommandLine.arguments[1] == "datagrams" {
  var path = must("datagrams") { try DatagramPath() }
  for _ in 0..<rounds {
    show([("verification", path.verificationCost(seconds)), ("datagram", path.cost(seconds))])
  }
} else {
  let links = try await LinkPair()
  for _ in 0..<rounds {
    var figures = [
      ("seal", sealCost(seconds)), ("open", openCost(seconds)), ("tcp", tcpCost(seconds)),
      ("scalarMult", scalarMultCost(seconds)), ("scalarMultBase", scalarMultBaseCost(seconds)),
      ("signature", signatureCost(seconds)), ("verification", verificationCost(seconds)),
      ("guardedMemory", guardedMemoryCost(seconds)), ("noise", noiseCost(seconds)),
      ("tcpConnection", tcpConnectionCost(seconds)), ("handshake", await links.handshakeCost(seconds)),
    ]
    for byteCount in [1_024, 65_536, 1_048_576] {
      figures.append(("link\(byteCount)", await links.cost(frameByteCount: byteCount, seconds)))
    }
    show(figures)
  }
  await links.shutdown()
}
