import CSodium

/// Chooses the implementations of the primitives for this processor and opens the random source, once.
///
/// Everything that makes keys or draws random bytes touches this first. libsodium fails here only where the
/// operating system has no random source at all: nothing can be done safely without one.
let sodiumIsReady: Bool = {
  let status = sodium_init()
  precondition(status >= 0, "the operating system offers no source of random bytes")
  return true
}()
