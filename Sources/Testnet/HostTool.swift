import CLinux
import Foundation
import Glibc

/// A program of the host, such as `ip`.
enum HostTool {
  /// What it prints beyond this is not read.
  private static let maximumOutputBytes = 262_144

  /// Runs it to its end and returns what it printed; throws what it complained of when it fails.
  @discardableResult
  static func run(_ words: [String]) throws -> String {
    let output = linnet_memory_file("linnet-tool")
    guard output >= 0 else { throw failed(words, String(cString: strerror(-output))) }
    defer { close(output) }
    let id: pid_t
    switch SpawnedProgram.start(words, output: output, errors: output, inNewSession: false) {
    case .success(let started): id = started
    case .failure(let error): throw failed(words, error.description)
    }
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    var shown = [UInt8](repeating: 0, count: HostTool.maximumOutputBytes)
    let count = pread(output, &shown, shown.count, 0)
    shown.removeLast(shown.count - max(0, count))
    let text = String(decoding: shown, as: UTF8.self)
    guard status == 0 else { throw failed(words, text.trimmingCharacters(in: .whitespacesAndNewlines)) }
    return text
  }

  private static func failed(_ words: [String], _ why: String) -> TestnetError {
    TestnetError("`\(words.joined(separator: " "))` failed: \(why)", suggestion: "try it by hand, as root")
  }
}

/// Starting a program.
enum SpawnedProgram {
  struct Failure: Error, CustomStringConvertible {
    let code: Int32
    var description: String { String(cString: strerror(code)) }
  }

  /// POSIX_SPAWN_SETSID of glibc's <spawn.h>, which Swift's overlay leaves out.
  private static let newSession: Int16 = 0x80

  /// Starts what the words name, found on `PATH`, with nothing to read; its process id.
  static func start(_ words: [String], output: Int32, errors: Int32, inNewSession: Bool) -> Result<pid_t, Failure> {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    if inNewSession { posix_spawnattr_setflags(&attributes, newSession) }
    let arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var id: pid_t = 0
    let status = posix_spawnp(&id, words[0], &actions, &attributes, arguments, environ)
    return status == 0 ? .success(id) : .failure(Failure(code: status))
  }
}
