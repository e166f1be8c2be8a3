"""Bech32m (BIP-350): the text of a node's id and of an invite."""

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_checksum(values):
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            if top >> bit & 1:
                check ^= generator
    return check


def regroup(values, start, end, pad):
    """The same bits in groups of another size; None when bits that are not zero, or a whole group, would be left."""
    bits = "".join(f"{value:0{start}b}" for value in values)
    rest = len(bits) % end
    if rest and pad:
        bits += "0" * (end - rest)
    elif rest:
        if rest >= start or "1" in bits[-rest:]:
            return None
        bits = bits[:-rest]
    return [int(bits[i : i + end], 2) for i in range(0, len(bits), end)]


def bech32_text(data, prefix):
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    values = regroup(data, 8, 5, True)
    check = bech32_checksum(head + values + [0] * 6) ^ 0x2BC830A3
    return prefix + "1" + "".join(BECH32[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


def bech32_bytes(text, prefix, longest=90):
    start = len(prefix) + 1
    if not text.startswith(prefix + "1") or not start + 6 <= len(text) <= longest:
        return None
    if any(c not in BECH32 for c in text[start:]):
        return None
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    values = [BECH32.index(c) for c in text[start:]]
    if bech32_checksum(head + values) != 0x2BC830A3:
        return None
    data = regroup(values[:-6], 5, 8, False)
    return None if data is None else bytes(data)


def id_text(data):
    return bech32_text(data, "ln")


def id_bytes(text):
    data = bech32_bytes(text, "ln")
    return data if data is not None and len(data) == 32 else None
