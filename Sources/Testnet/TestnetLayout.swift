import Control
import Foundation
import Primitives

/// Where a testnet keeps what: `DIR/node1` ... each with `control.sock`, `node.conf`, `node.key`, `log` and `pid`.
package struct TestnetLayout: Sendable {
  /// The port that every node listens on, for UDP and TCP: below the ephemeral range, so that a restart finds it free.
  package static let port: UInt16 = 7_447
  /// The most nodes.
  package static let maximumNodes = 100

  /// The testnet's directory.
  package let directory: String

  /// A testnet in a directory, as an absolute path.
  package init(directory: String) {
    let absolute = directory.hasPrefix("/") ? directory : FileManager.default.currentDirectoryPath + "/" + directory
    self.directory = (absolute as NSString).standardizingPath
  }

  /// The genesis document that all nodes share.
  package var genesis: String { directory + "/genesis.json" }

  /// The hosts of a lab; absent when the nodes run on the loopback.
  package var lab: String { directory + "/lab.json" }
  /// Where a lab's switch is told its rules.
  package var switchSocket: String { directory + "/switch.sock" }
  /// What a lab's switch complains of.
  package var switchLog: String { directory + "/switch.log" }

  /// The directory of a node, counted from 1.
  package func node(_ number: Int) -> String { "\(directory)/node\(number)" }

  /// A file of a node.
  package func file(_ name: String, of number: Int) -> String { "\(node(number))/\(name)" }

  /// The control socket of a node.
  package func socket(of number: Int) -> String {
    ControlTarget.socket(ofNode: number, inTestnet: directory)
  }

  /// A node's loopback address: 127.x.y.k, where x and y come from the directory, so that two testnets on one host
  /// do not meet.
  package func address(of number: Int) -> String {
    let hash = Digest(hashing: Array(directory.utf8)).bytes
    return "127.\(1 + Int(hash[0]) % 254).\(hash[1]).\(number)"
  }

  /// The numbers of the nodes that the directory holds, in order.
  package var nodes: [Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.compactMap { name in
      guard name.hasPrefix("node"), let number = Int(name.dropFirst(4)),
        FileManager.default.fileExists(atPath: file("node.conf", of: number))
      else { return nil }
      return number
    }.sorted()
  }
}
