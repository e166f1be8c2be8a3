import CLinux
import Glibc

/// Removes a tree that a stranger made: of any depth, without following links, with few descriptors.
enum TreeRemover {
  /// Deeper directories are first moved up to the top, so that depth costs neither stack nor descriptors.
  static let maximumDepth = 32

  /// Removes what lies in the open directory `top`.
  static func empty(_ top: Int32) {
    // Every round moves at least one level of what was too deep to the top.
    while empty(top, top: top, depth: 0) {}
  }

  /// Removes `name` in the open directory `parent`, whatever it is.
  static func remove(_ name: [CChar], in parent: Int32) {
    if unlinkat(parent, name, 0) == 0 || errno == ENOENT { return }
    let directory = open(name, in: parent)
    if directory >= 0 {
      empty(directory)
      close(directory)
    }
    unlinkat(parent, name, AT_REMOVEDIR)
  }

  private static func open(_ name: [CChar], in parent: Int32) -> Int32 {
    let descriptor = linnet_open_beneath(parent, name, O_RDONLY | O_DIRECTORY)
    if descriptor != -EACCES { return descriptor }
    // Its owner took the rights away; not being root, we must take them back.
    fchmodat(parent, name, 0o700, 0)
    return linnet_open_beneath(parent, name, O_RDONLY | O_DIRECTORY)
  }

  /// Whether something was moved to the top, so that another round is needed.
  private static func empty(_ directory: Int32, top: Int32, depth: Int) -> Bool {
    let copy = linnet_open_beneath(directory, ".", O_RDONLY | O_DIRECTORY)
    guard copy >= 0 else { return false }
    guard let stream = fdopendir(copy) else {
      close(copy)
      return false
    }
    defer { closedir(stream) }
    var again = false
    while true {
      let names = DirectoryNames.all(stream, limit: 4096)
      guard !names.isEmpty else { break }
      for name in names.map(DirectoryNames.c) where unlinkat(directory, name, 0) != 0 {
        if unlinkat(directory, name, AT_REMOVEDIR) == 0 { continue }
        if depth >= maximumDepth {
          // A name that its maker cannot have taken.
          let moved = "linnet-moved-" + String(UInt64.random(in: .min ... .max), radix: 16)
          if renameat(directory, name, top, moved) == 0 { again = true }
          continue
        }
        let child = open(name, in: directory)
        guard child >= 0 else { continue }
        fchmod(child, 0o700)
        again = empty(child, top: top, depth: depth + 1) || again
        close(child)
        unlinkat(directory, name, AT_REMOVEDIR)
      }
    }
    return again
  }
}
