import CSodium
import Glibc

// The file, by the rules:
// 1. One line: `linnet-key-1 SEED CHECK` and a newline. SEED is the Ed25519 seed in 64 hexadecimal digits; CHECK is
//    the first 8 bytes of BLAKE2b-256 over "linnet/1/key-file" and the seed, in 16 digits, so that a line copied with
//    an error is not taken for another node's key.
// 2. It is a regular file of mode 0600 or stricter, owned by the user who reads it; anything else is refused.
// 3. It is only ever created, never replaced, and its name is durable before anyone hears of the identity.

/// Reads and writes `node.key`, the file that holds a node's secret key.
package enum KeyFile {
  private static let version = "linnet-key-1"
  private static let domain = Array("linnet/1/key-file".utf8)
  private static let checksumByteCount = 8
  /// Bytes in a well-formed file.
  static let byteCount = version.utf8.count + 1 + 2 * SigningKey.seedByteCount + 1 + 2 * checksumByteCount + 1

  /// Creates the file with mode 0600. When this returns, file and directory entry are on the disk.
  ///
  /// - Throws: `KeyFileError` with code `exists` or `inputOutput`.
  package static func create(_ key: SigningKey, at path: String) throws(KeyFileError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      let code = errno
      if code == EEXIST {
        throw KeyFileError(
          .exists, path: path,
          "Cannot create the key file \(path): it exists. A lost key is a lost identity, so it is never replaced; "
            + "move it away first.")
      }
      throw KeyFileError(.inputOutput, path: path, "Cannot create the key file \(path)", errno: code)
    }
    defer { close(descriptor) }
    do throws(KeyFileError) {
      var line = key.withSeed(line(of:))
      defer { zero(&line) }
      // The umask can only take bits away; this gives the owner's back.
      try check(fchmod(descriptor, 0o600), "Cannot set the mode of the key file", path)
      let written = write(descriptor, line, line.count)
      guard written == line.count else {
        let code = written < 0 ? errno : ENOSPC
        throw KeyFileError(.inputOutput, path: path, "Cannot write the key file \(path)", errno: code)
      }
      try check(fsync(descriptor), "Cannot bring to the disk the key file", path)
      try syncDirectory(of: path)
    } catch {
      unlink(path)
      throw error
    }
  }

  /// Reads the key.
  ///
  /// - Throws: `KeyFileError`; its code names what is wrong with the file.
  package static func read(_ path: String) throws(KeyFileError) -> SigningKey {
    // Non-blocking, so that a pipe put in the key's place is refused below instead of waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      if code == ENOENT {
        throw KeyFileError(
          .missing, path: path, "There is no key file at \(path): `linnet init` creates one, once for each node.")
      }
      throw KeyFileError(.inputOutput, path: path, "Cannot open the key file \(path)", errno: code)
    }
    defer { close(descriptor) }
    var status = stat()
    try check(fstat(descriptor, &status), "Cannot examine the key file", path)
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw KeyFileError(.notAFile, path: path, "The key file \(path) is not a regular file.")
    }
    guard status.st_uid == geteuid() else {
      throw KeyFileError(
        .wrongOwner, path: path,
        "The key file \(path) belongs to user \(status.st_uid), not to user \(geteuid()) who runs this: "
          + "run as its owner, or `chown \(geteuid()) \(path)`.")
    }
    guard status.st_mode & 0o077 == 0 else {
      let mode = String(status.st_mode & 0o777, radix: 8)
      throw KeyFileError(
        .exposed, path: path,
        "The key file \(path) has mode \(mode): others than its owner can reach it. `chmod 600 \(path)`, "
          + "and if anyone may have read it, move to a new identity.")
    }
    // One byte more than a well-formed file has, so that a longer one shows.
    var content = [UInt8](repeating: 0, count: byteCount + 1)
    defer { zero(&content) }
    var count = 0
    while count < content.count {
      let offset = count
      let got = content.withUnsafeMutableBytes {
        Glibc.read(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else {
        throw KeyFileError(.inputOutput, path: path, "Cannot read the key file \(path)", errno: errno)
      }
      if got == 0 { break }
      count += got
    }
    guard var seed = seed(in: content.prefix(count)) else {
      throw KeyFileError(
        .malformed, path: path,
        "The key file \(path) is damaged or no key file: expected one line `\(version) SEED CHECK` whose checksum fits. "
          + "Restore it from its backup.")
    }
    defer { zero(&seed) }
    do {
      return try SigningKey(seed: seed)
    } catch {
      throw KeyFileError(.inputOutput, path: path, "Cannot load the key file \(path): \(error.message)")
    }
  }

  // Text is made and taken apart in arrays that can be zeroed, by libsodium, whose time does not tell the secret.
  private static func line(of seed: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var line = Array("\(version) ".utf8)
    line.reserveCapacity(byteCount)
    let check = checksum(of: seed)
    appendHexadecimal(seed, to: &line)
    line.append(UInt8(ascii: " "))
    check.withUnsafeBufferPointer { appendHexadecimal($0, to: &line) }
    line.append(UInt8(ascii: "\n"))
    return line
  }

  private static func appendHexadecimal(_ bytes: UnsafeBufferPointer<UInt8>, to line: inout [UInt8]) {
    var digits = [UInt8](repeating: 0, count: bytes.count * 2 + 1)
    defer { zero(&digits) }
    digits.withUnsafeMutableBytes {
      guard let output = $0.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
      sodium_bin2hex(output, $0.count, bytes.baseAddress, bytes.count)
    }
    line.append(contentsOf: digits.dropLast())
  }

  private static func checksum(of seed: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var message = domain + seed
    defer { zero(&message) }
    return Array(BLAKE2b.hash(message, count: 32).prefix(checksumByteCount))
  }

  private static func seed(in content: ArraySlice<UInt8>) -> [UInt8]? {
    guard content.count == byteCount, content.last == UInt8(ascii: "\n") else { return nil }
    let words = content.dropLast().split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard words.count == 3, words[0].elementsEqual(version.utf8),
      var seed = bytes(ofHexadecimal: words[1], count: SigningKey.seedByteCount),
      let check = bytes(ofHexadecimal: words[2], count: checksumByteCount)
    else { return nil }
    guard seed.withUnsafeBufferPointer({ checksum(of: $0) }) == check else {
      zero(&seed)
      return nil
    }
    return seed
  }

  private static func bytes(ofHexadecimal digits: ArraySlice<UInt8>, count: Int) -> [UInt8]? {
    guard digits.count == count * 2 else { return nil }
    var bytes = [UInt8](repeating: 0, count: count)
    var written = 0
    let status = digits.withUnsafeBytes {
      sodium_hex2bin(
        &bytes, count, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count, nil, &written, nil)
    }
    return status == 0 && written == count ? bytes : nil
  }

  private static func check(_ status: CInt, _ tried: String, _ path: String) throws(KeyFileError) {
    guard status == 0 else {
      throw KeyFileError(.inputOutput, path: path, "\(tried) \(path)", errno: errno)
    }
  }

  private static func syncDirectory(of path: String) throws(KeyFileError) {
    let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw KeyFileError(.inputOutput, path: path, "Cannot open the directory \(directory)", errno: errno)
    }
    defer { close(descriptor) }
    try check(fsync(descriptor), "Cannot bring to the disk the directory of", path)
  }
}
