/// The version of Linnet: of this daemon and of this client, which are one program.
package enum LinnetVersion {
  /// Semantic versioning; raised with every release.
  package static let current = "0.2.0"
}
