// How the elements of the lists in the key table are read. Each returns the element and its canonical text.

extension ConfigurationKey {
  static func literalAddress(_ text: String) throws(ValueRefusal) -> (SocketAddressText, canonical: String) {
    let address = try socketAddress(text)
    guard address.isLiteral else {
      throw ValueRefusal(
        code: .invalidValue,
        message: "expected an \"ip:port\", found \"\(text)\": a host name cannot stand here, write its IP address")
    }
    return (address, address.description)
  }

  static func reachableAddress(_ text: String) throws(ValueRefusal) -> (SocketAddressText, canonical: String) {
    let (address, canonical) = try literalAddress(text)
    guard !address.isUnspecified else {
      throw ValueRefusal(
        code: .invalidValue, message: "no peer can reach \"\(text)\": write the address that peers see")
    }
    return (address, canonical)
  }

  static func bootstrapAddress(_ text: String) throws(ValueRefusal) -> (BootstrapAddress, canonical: String) {
    do {
      let address = try BootstrapAddress(text)
      return (address, address.description)
    } catch {
      throw ValueRefusal(
        code: .invalidValue, message: "expected a \"host:port\" or \"id@host:port\", found \(error)")
    }
  }

  static func dnsName(_ text: String) throws(ValueRefusal) -> (String, canonical: String) {
    // The grammar of host names is that of addresses; the port is for its sake.
    guard let address = try? SocketAddressText(text + ":1"), address.form == .name else {
      throw ValueRefusal(
        code: .invalidValue, message: "expected a DNS name, found \(ConfigurationValue.text(text).rendered)")
    }
    return (address.host, address.host)
  }

  static func label(_ text: String) throws(ValueRefusal) -> (NodeConfiguration.OfferLabel, canonical: String) {
    let pieces = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard pieces.count == 2, (1...63).contains(pieces[0].utf8.count), pieces[1].utf8.count <= 63,
      pieces.allSatisfy({ $0.utf8.allSatisfy(isLabelByte) })
    else {
      throw ValueRefusal(
        code: .invalidValue,
        message: "expected \"key=value\" of letters, digits, \".\", \"_\", \"-\", \"/\", at most 63 bytes each, "
          + "found \(ConfigurationValue.text(text).rendered)")
    }
    return (NodeConfiguration.OfferLabel(key: String(pieces[0]), value: String(pieces[1])), text)
  }

  private static func socketAddress(_ text: String) throws(ValueRefusal) -> SocketAddressText {
    do {
      return try SocketAddressText(text)
    } catch {
      throw ValueRefusal(code: .invalidValue, message: "expected an \"ip:port\", found \(error)")
    }
  }

  private static func isLabelByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x2D, 0x2F: true
    default: false
    }
  }
}
