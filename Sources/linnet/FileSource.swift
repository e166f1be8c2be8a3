import Control
import Glibc

/// A file read piece by piece; closed when it is let go.
final class FileSource: Sendable {
  private static let pieceBytes = 262_144
  private let descriptor: Int32
  private let path: String

  init(path: String) throws {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.system("read", path) }
  }

  deinit {
    close(descriptor)
  }

  /// Its bytes; whoever consumes them holds the file open.
  var bytes: ByteStream {
    ByteStream { [self] in
      while true {
        var code: Int32 = 0
        let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, count in
          let result = read(descriptor, buffer.baseAddress, Self.pieceBytes)
          if result < 0 { code = errno }
          count = max(0, result)
        }
        if code == EINTR { continue }
        guard code == 0 else { throw Failure.system("read", path, errno: code) }
        return piece.isEmpty ? nil : piece
      }
    }
  }
}

/// A file written piece by piece. It appears under its name only when it is complete.
final class FileSink {
  private let path: String
  private let temporaryPath: String
  private var descriptor: Int32

  init(path: String, executable: Bool) throws {
    self.path = path
    temporaryPath = path + ".part-\(getpid())"
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, executable ? 0o777 : 0o666)
    guard descriptor >= 0 else { throw Failure.system("write", path) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporaryPath)
  }

  func write(_ bytes: [UInt8]) throws {
    try Console.write(bytes, to: descriptor)
  }

  /// Gives the file its name.
  func finish() throws {
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0, rename(temporaryPath, path) == 0 else {
      let code = errno
      unlink(temporaryPath)
      throw Failure.system("write", path, errno: code)
    }
  }
}
