import CSodium
import Glibc
import LinkProtocol
import Primitives
import Sodium

func fail(_ text: String) -> Never {
  let line = "bench-link: \(text)\n"
  write(2, line, line.utf8.count)
  exit(1)
}

/// What `throw` would be in a program that goes on.
func must<Answer>(_ what: String, _ body: () throws -> Answer) -> Answer {
  do { return try body() } catch { fail("\(what): \(error)") }
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// Seconds that one call of `body` takes, measured for so long, in bunches.
func secondsEach(_ seconds: Double, bunch: Int, _ body: () -> Void) -> Double {
  let started = ContinuousClock.now
  var count = 0
  while true {
    for _ in 0..<bunch { body() }
    count += bunch
    let passed = (ContinuousClock.now - started).inSeconds
    if passed >= seconds { return passed / Double(count) }
  }
}

// MARK: Bytes

/// Bytes of a full message of a link, without and with its tag.
let plaintextByteCount = 65_519
let sealedByteCount = plaintextByteCount + Int(crypto_aead_chacha20poly1305_ietf_ABYTES)

/// How fast libsodium seals full messages, in place.
func sealRate(_ seconds: Double) -> Double {
  var buffer = [UInt8](repeating: 1, count: sealedByteCount)
  let (key, nonce) = ([UInt8](repeating: 2, count: 32), [UInt8](repeating: 3, count: 12))
  let each = secondsEach(seconds, bunch: 16) {
    buffer.withUnsafeMutableBufferPointer { bytes in
      guard let start = bytes.baseAddress else { return }
      _ = crypto_aead_chacha20poly1305_ietf_encrypt(
        start, nil, start, UInt64(plaintextByteCount), nil, 0, nil, nonce, key)
    }
  }
  return Double(plaintextByteCount) / each
}

/// How fast it opens them.
func openRate(_ seconds: Double) -> Double {
  var sealed = [UInt8](repeating: 1, count: sealedByteCount)
  var opened = [UInt8](repeating: 0, count: plaintextByteCount)
  let (key, nonce) = ([UInt8](repeating: 2, count: 32), [UInt8](repeating: 3, count: 12))
  _ = crypto_aead_chacha20poly1305_ietf_encrypt(
    &sealed, nil, opened, UInt64(plaintextByteCount), nil, 0, nil, nonce, key)
  let each = secondsEach(seconds, bunch: 16) {
    let status = crypto_aead_chacha20poly1305_ietf_decrypt(
      &opened, nil, nil, sealed, UInt64(sealedByteCount), nil, 0, nonce, key)
    guard status == 0 else { fail("a good message was refused") }
  }
  return Double(plaintextByteCount) / each
}

private func loopbackListener() -> (descriptor: CInt, address: sockaddr_in) {
  let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let isBound = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
    }
  }
  guard isBound, listen(descriptor, 16) == 0 else { fail("cannot listen on the loopback address") }
  return (descriptor, address)
}

private func connection(to address: sockaddr_in) -> CInt {
  let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
  let status = withUnsafePointer(to: address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  guard status == 0 else { fail("cannot connect on the loopback address") }
  return descriptor
}

/// How fast one thread carries full messages through a TCP connection of its own, a message at a time, without waiting.
func tcpRate(_ seconds: Double) -> Double {
  let listener = loopbackListener()
  let sender = connection(to: listener.address)
  let receiver = accept(listener.descriptor, nil, nil)
  defer { for descriptor in [listener.descriptor, sender, receiver] { close(descriptor) } }
  let message = [UInt8](repeating: 1, count: sealedByteCount)
  var buffer = [UInt8](repeating: 0, count: sealedByteCount)
  let each = secondsEach(seconds, bunch: 16) {
    guard send(sender, message, message.count, 0) == message.count else { fail("a message was not sent whole") }
    var received = 0
    while received < message.count {
      let count = recv(receiver, &buffer, buffer.count, 0)
      guard count > 0 else { fail("the connection broke") }
      received += count
    }
  }
  return Double(plaintextByteCount) / each
}

// MARK: Handshakes

func scalarMultSeconds(_ seconds: Double) -> Double {
  let (secret, point) = ([UInt8](repeating: 2, count: 32), [9] + [UInt8](repeating: 0, count: 31))
  var shared = [UInt8](repeating: 0, count: 32)
  return secondsEach(seconds, bunch: 64) { _ = crypto_scalarmult(&shared, secret, point) }
}

func scalarMultBaseSeconds(_ seconds: Double) -> Double {
  let secret = [UInt8](repeating: 2, count: 32)
  var shared = [UInt8](repeating: 0, count: 32)
  return secondsEach(seconds, bunch: 64) { _ = crypto_scalarmult_base(&shared, secret) }
}

private let statement = [UInt8](repeating: 1, count: 87)

func signSeconds(_ seconds: Double) -> Double {
  let key = must("a key") { try SigningKey.generate() }
  return secondsEach(seconds, bunch: 64) { _ = key.sign(statement) }
}

func verifySeconds(_ seconds: Double) -> Double {
  let key = must("a key") { try SigningKey.generate() }
  let signature = key.sign(statement)
  return secondsEach(seconds, bunch: 64) {
    guard verify(signature, of: statement, by: key.id) else { fail("a good signature was refused") }
  }
}

/// What it takes to get and give back the guarded memory of one secret.
func guardedMemorySeconds(_ seconds: Double) -> Double {
  let secret = [UInt8](repeating: 1, count: 32)
  return secondsEach(seconds, bunch: 64) { _ = must("memory") { try SecretMemory(copying: secret) } }
}

/// Both sides of a handshake without a socket, and the half of it: what it takes a side.
func noiseSeconds(_ seconds: Double) -> Double {
  let network = Digest(hashing: [1])
  let keys = must("keys") { (try SigningKey.generate(), try SigningKey.generate()) }
  let statics = must("keys") { (try KeyAgreementKey.generate(), try KeyAgreementKey.generate()) }
  let both = secondsEach(seconds, bunch: 16) {
    must("a handshake") {
      var one = try NoiseHandshake(role: .initiator, identity: keys.0, networkID: network, staticKey: statics.0)
      var two = try NoiseHandshake(role: .responder, identity: keys.1, networkID: network, staticKey: statics.1)
      try two.read(try one.write())
      try one.read(try two.write())
      try two.read(try one.write())
      _ = (try one.finish(), try two.finish())
    }
  }
  return both / 2
}

/// What it takes a side to make a TCP connection and to close it.
func connectSeconds(_ seconds: Double) -> Double {
  let listener = loopbackListener()
  defer { close(listener.descriptor) }
  let both = secondsEach(seconds, bunch: 16) {
    let one = connection(to: listener.address)
    let two = accept(listener.descriptor, nil, nil)
    close(one)
    close(two)
  }
  return both / 2
}
