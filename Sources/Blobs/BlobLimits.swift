/// The bounds of the blob store and its transfer.
package enum BlobLimits {
  /// Bytes of every chunk but the last.
  package static let chunkBytes = 256 << 10
  /// The most bytes in one blob: 1 TiB, 2^22 chunks.
  package static let maximumBlobBytes: UInt64 = 1 << 40
  /// The most bytes of the entries of one directory, encoded.
  package static let maximumManifestBytes = 16 << 20
  /// The most entries in one directory.
  package static let maximumDirectoryEntries = 65_536
  /// The most entries in a directory and all below it, for import, export and fetch.
  package static let maximumTreeEntries = 262_144
  /// How deep directories may lie in one another.
  package static let maximumDepth = 64
  /// The most bytes in a name, as on Linux.
  package static let maximumNameBytes = 255
  /// The most bytes in the target of a link.
  package static let maximumLinkBytes = 4_095
  /// The most bytes of content in the answer to one request.
  package static let maximumAnswerBytes = 512 << 10
  /// The most chunks in the answer to one request.
  package static let maximumAnswerChunks = maximumAnswerBytes / chunkBytes
  /// The most roots that can be pinned; further pins are refused.
  package static let maximumPinnedRoots = 65_536
  /// The most owners of pins on one root; further ones are refused.
  package static let maximumPinOwners = 256
  /// The most bytes in the name of a pin's owner.
  package static let maximumOwnerBytes = 128
  /// The most paths that an import names as skipped; further ones are only counted.
  package static let maximumSkippedPaths = 100
}
