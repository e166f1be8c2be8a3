import Primitives
import Wire

// The texts of invites: what is read, and all that is refused.
extension Vectors {
  mutating func addInvites() {
    func encoded(_ ip: [UInt8], _ grant: [UInt8]) -> [UInt8] {
      let address: [UInt8] = [ip.count == 4 ? 4 : 6] + ip + [0x17, 0x1d]
      return [1] + [UInt8](0..<32) + [UInt8](32..<64) + [1] + address + (grant.isEmpty ? [0] : [1] + grant)
    }
    func text(_ bytes: [UInt8], prefix: String = Invite.textPrefix) -> String { Bech32m.encode(bytes, prefix: prefix) }
    let plain = encoded([10, 0, 0, 1], [])
    let six = encoded([0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [1], [])
    let granted = encoded([10, 0, 0, 1], [UInt8](repeating: 0xab, count: 32))
    for bytes in [plain, six, granted] { addText(type: "Invite", text: text(bytes), bytes: bytes) }
    let good = text(plain)
    let longest = [1] + [UInt8](repeating: 9, count: 64) + [4]
    let four = longest + [[UInt8]](repeating: [6, 0x20] + [UInt8](repeating: 1, count: 17), count: 4).joined()
    let whole = four + [1] + [UInt8](repeating: 5, count: 32)
    addText(type: "Invite", text: text(whole), bytes: whole)
    for bad in [
      "", "lninvite1", good.uppercased(), String(good.dropLast()), good + "q",
      String(good.dropLast()) + (good.hasSuffix("q") ? "p" : "q"), "ln1" + good.dropFirst(9), text(plain, prefix: "ln"),
      text([2] + plain.dropFirst()), text(Array(plain.dropLast())), text(plain + [0]),
      text([1] + [UInt8](repeating: 7, count: 64) + [0, 0]), text(whole + [0]),
      NodeID(Bytes32()).description,
    ] { addText(type: "Invite", text: bad, bytes: nil) }
  }
}
