import Foundation
import Glibc
import Testing

/// What these tests need of the host. Without it they are skipped, or fail when `LINNET_REQUIRE_ALL=1`.
enum Requirement {
  private static let environment = ProcessInfo.processInfo.environment

  /// Whether a missing requirement is a failure.
  static let isStrict = environment["LINNET_REQUIRE_ALL"] == "1"

  /// The package's root.
  static let packageRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// The program under test.
  static let binary = environment["LINNET_BINARY"] ?? packageRoot + "/.build/release/linnet"

  /// The daemon that contradicts itself, for one test (`make equivocator`).
  static let equivocator = environment["LINNET_EQUIVOCATOR"] ?? packageRoot + "/.build/release/linnet-equivocator"

  /// The node that holds to no rule of the network, for one test (`make equivocator`).
  static let malicious = environment["LINNET_MALICIOUS"] ?? packageRoot + "/.build/release/linnet-malicious"

  /// Gives a program another clock when it is loaded before all else.
  static let faketime: String = {
    let paths = ["x86_64", "aarch64"].map { (name: String) in "/usr/lib/\(name)-linux-gnu/faketime/libfaketimeMT.so.1" }
    return paths.first { (path: String) in access(path, R_OK) == 0 } ?? "libfaketimeMT.so.1"
  }()

  /// What is missing, each in a few words.
  static let missing: [String] = {
    var missing: [String] = []
    if access(binary, X_OK) != 0 { missing.append("the program \(binary) (`make release` builds it)") }
    if access(equivocator, X_OK) != 0 {
      missing.append("the program \(equivocator) (LINNET_EQUIVOCATOR=1 swift build --product linnet-equivocator)")
    }
    if access(malicious, X_OK) != 0 { missing.append("the program \(malicious) (`make equivocator` builds it)") }
    if getuid() != 0 { missing.append("root") }
    for tool in ["/usr/bin/bwrap", "/usr/bin/nsenter", "/usr/bin/unshare", "/bin/bash", "/usr/bin/python3"]
    where access(tool, X_OK) != 0 {
      missing.append(tool)
    }
    if !["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].contains(where: { (path: String) in access(path, X_OK) == 0 }) {
      missing.append("ip (the package iproute2)")
    }
    if access("/usr/sbin/nft", X_OK) != 0 { missing.append("/usr/sbin/nft (the package nftables)") }
    if access("/usr/sbin/sysctl", X_OK) != 0 { missing.append("/usr/sbin/sysctl (the package procps)") }
    if access(faketime, R_OK) != 0 { missing.append("\(faketime) (the package faketime)") }
    if access("/dev/net/tun", R_OK | W_OK) != 0 { missing.append("/dev/net/tun") }
    return missing
  }()

  /// Whether the tests run at all.
  static let isMet = isStrict || missing.isEmpty

  /// Throws when something is missing.
  static func check() throws {
    guard missing.isEmpty else { throw Trouble("missing here: " + missing.joined(separator: ", ")) }
  }
}

/// Why a test cannot go on.
struct Trouble: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// All of them, one at a time: each starts several processes and measures.
@Suite(
  "acceptance", .serialized, .enabled(if: Requirement.isMet, "needs the built program, root, bubblewrap, iproute2"))
enum Acceptance {}
