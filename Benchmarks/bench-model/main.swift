// Consensus without a machine below it, and the state root alone.
//
// bench-model finality NODES BLOCKS DELAY_MICROSECONDS
//   NODES cores in virtual time: each message takes exactly the delay, computing and syncing take none. Prints JSON.
// bench-model root ENTRIES
//   A ledger of so many accounts: what a block of 100 transfers costs, what of that the tree, and hashing all anew.
//
// Built with testing enabled (scripts/bench-build), since the tree is the ledger's own.

import Glibc

func fail(_ text: String) -> Never {
  let line = "bench-model: \(text)\n"
  write(2, line, line.utf8.count)
  exit(1)
}

extension Duration {
  var microseconds: Double { Double(components.seconds) * 1e6 + Double(components.attoseconds) / 1e12 }
}

let words = CommandLine.arguments.dropFirst()
let numbers = words.dropFirst().compactMap { Int($0) }
switch (words.first, numbers.count) {
case ("finality", 3): finality(nodes: numbers[0], blocks: numbers[1], delayMicroseconds: Int64(numbers[2]))
case ("root", 1): stateRoot(accounts: numbers[0])
default: fail("finality NODES BLOCKS DELAY_MICROSECONDS, or root ENTRIES")
}
