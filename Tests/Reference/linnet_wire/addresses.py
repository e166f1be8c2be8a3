"""Addresses of nodes and their text."""
import ipaddress
import re

from coding import Refused

MAPPED = bytes(10) + b"\xff\xff"


def address_text(ip, port):
    if len(ip) == 4:
        return f"{ipaddress.IPv4Address(ip)}:{port}"
    groups = [int.from_bytes(ip[i : i + 2], "big") for i in range(0, 16, 2)]
    best, run = (0, 1), 0
    for index, group in enumerate(groups):
        run = run + 1 if group == 0 else 0
        if run > best[1]:
            best = (index - run + 1, run)
    words = [f"{group:x}" for group in groups]
    if best[1] > 1:
        text = ":".join(words[: best[0]]) + "::" + ":".join(words[best[0] + best[1] :])
    else:
        text = ":".join(words)
    return f"[{text}]:{port}"


def address_bytes(text):
    """Encodes the text of an address; None for what is refused."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})", text, re.A)
    if not found or int(found[3]) > 65535:
        return None
    try:
        ip = (ipaddress.IPv6Address(found[1]) if found[1] else ipaddress.IPv4Address(found[2])).packed
    except ValueError:
        return None
    if ip.startswith(MAPPED):
        ip = ip[12:]
    return bytes([4 if len(ip) == 4 else 6]) + ip + int(found[3]).to_bytes(2, "little")


class Address:
    def read(self, reader):
        family = reader.take(1)[0]
        if family not in (4, 6):
            raise Refused("address family")
        ip = reader.take(4 if family == 4 else 16)
        if family == 6 and ip.startswith(MAPPED):
            raise Refused("mapped address")
        return address_text(ip, int.from_bytes(reader.take(2), "little"))

    def write(self, out, value):
        data = address_bytes(value)
        if data is None:
            raise Refused("not an address")
        out += data

    def random(self, rng):
        if rng.random() < 0.5:
            ip = rng.randbytes(4)
        else:
            ip = b"".join(bytes(2) if rng.random() < 0.5 else rng.randbytes(2) for _ in range(8))
            if ip.startswith(MAPPED):
                ip = bytes(16)
        return address_text(ip, rng.getrandbits(16))


ADDRESS = Address()
