// What a link costs against what its parts cost, all in one process and meant for one processor, which network-bench pins
// it to. Every round measures each part and then the link, so that a machine that slows down slows all of them.
//
// bench-link ROUNDS SECONDS
//   prints a line of JSON for each round; SECONDS is how long each figure is measured.

import Glibc

guard CommandLine.arguments.count == 3, let rounds = Int(CommandLine.arguments[1]), rounds > 0,
  let seconds = Double(CommandLine.arguments[2]), seconds > 0
else { fail("usage: bench-link ROUNDS SECONDS") }

let links = try await LinkPair()
for _ in 0..<rounds {
  var figures: [(String, Double)] = [
    ("sealBytesPerSecond", sealRate(seconds)),
    ("openBytesPerSecond", openRate(seconds)),
    ("tcpBytesPerSecond", tcpRate(seconds)),
    ("scalarMultSeconds", scalarMultSeconds(seconds)),
    ("scalarMultBaseSeconds", scalarMultBaseSeconds(seconds)),
    ("signSeconds", signSeconds(seconds)),
    ("verifySeconds", verifySeconds(seconds)),
    ("guardedMemorySeconds", guardedMemorySeconds(seconds)),
    ("noiseSeconds", noiseSeconds(seconds)),
    ("connectSeconds", connectSeconds(seconds)),
  ]
  figures.append(("handshakeSeconds", await links.handshakeSeconds(seconds)))
  for byteCount in [1_024, 65_536, 1_048_576] {
    figures.append(("linkBytesPerSecond\(byteCount)", await links.rate(frameByteCount: byteCount, seconds)))
  }
  print("{" + figures.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}")
  fflush(nil)
}
await links.shutdown()
