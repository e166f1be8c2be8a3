import Config
import Dispatch
import Foundation
import Logging
import Primitives
import Sodium
import Wire

// A node that does harm: it has a key of the network and speaks its protocols, and holds to no rule of them. It takes
// the place of a node in the acceptance tests and is no part of what is shipped (`LINNET_EQUIVOCATOR=1` in Package.swift).
//
// linnet-malicious --mode MODE --genesis FILE [--key FILE] --listen IP:PORT --seconds N IP:PORT@ID ...
//
// It prints its id, each second what it did how often, and that once more at its end, after N seconds or TERM.

func fail(_ text: String) -> Never {
  FileHandle.standardError.write(Data("linnet-malicious: \(text)\n".utf8))
  exit(1)
}

/// What it is told.
struct Options {
  var mode = Attack.accuse
  var genesis = ""
  var key = ""
  var listen = ""
  var seconds = 10.0
  var targets: [Target] = []

  init(_ words: [String]) {
    var words = words[...]
    while let word = words.popFirst() {
      func value() -> String {
        guard let value = words.popFirst() else { fail("\(word) needs a value") }
        return value
      }
      switch word {
      case "--mode":
        let name = value()
        guard let mode = Attack(rawValue: name) else { fail("'\(name)' is no mode") }
        self.mode = mode
      case "--genesis": genesis = value()
      case "--key": key = value()
      case "--listen": listen = value()
      case "--seconds": seconds = Double(value()) ?? 10
      default:
        let parts = word.split(separator: "@").map(String.init)
        guard parts.count == 2, let address = PeerAddress(text: parts[0]), let id = NodeID(text: parts[1]) else {
          fail("'\(word)' is not IP:PORT@ID")
        }
        targets.append(Target(address: address, id: id))
      }
    }
  }
}

signal(SIGPIPE, SIG_IGN)
let options = Options(Array(CommandLine.arguments.dropFirst()))
guard let listen = PeerAddress(text: options.listen), !options.targets.isEmpty else { fail("--listen and targets") }
do {
  let genesis = try GenesisDocument.read(path: options.genesis)
  let key = try options.key.isEmpty ? SigningKey.generate() : KeyFile.read(options.key)
  // At once, while `print` would wait.
  FileHandle.standardOutput.write(Data("\(key.id)\n".utf8))
  let node = try await MaliciousNode(key: key, genesis: genesis, listen: listen, targets: options.targets)
  signal(SIGTERM, SIG_IGN)
  let toldToStop = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
  toldToStop.setEventHandler { @Sendable in node.stop() }
  toldToStop.resume()
  let mode = options.mode.rawValue
  try await node.run(options.mode, seconds: options.seconds) { @Sendable done in
    let counts = done.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    FileHandle.standardOutput.write(Data("\(mode): \(counts)\n".utf8))
  }
  withExtendedLifetime(toldToStop) {}
} catch {
  fail("\(error)")
}
