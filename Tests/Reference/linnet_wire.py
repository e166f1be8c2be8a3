#!/usr/bin/python3
"""Linnet's wire format, written from docs/wire-format.md: a second implementation to test the first against.

  linnet_wire.py check [FILE]   checks the golden vectors (default docs/wire-vectors.json) and prints how many
  linnet_wire.py write SEED     writes random entries, one JSON object a line
  linnet_wire.py read           reads entries from standard input, checks each, and answers with its fields
  linnet_wire.py corpus DIR     writes the fuzzer's seeds, a folder for each decoder

Needs PyNaCl (Debian: python3-nacl).
"""
import hashlib
import ipaddress
import json
import pathlib
import random
import re
import sys

import nacl.exceptions
import nacl.signing

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Refused(Exception):
    """The bytes are not the encoding of a value."""


def blake(data, size=32):
    return hashlib.blake2b(data, digest_size=size).digest()


def domain(name):
    return b"linnet/1/" + name.encode() + b"\0"


# Reading and writing. A codec has read(Reader) -> value, write(bytearray, value) and random(Random) -> value; values are
# what JSON holds.


class Reader:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, count):
        if count > len(self.data) - self.position:
            raise Refused("truncated")
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift > 0:
                    raise Refused("varint is not minimal")
                if value >= 1 << 64:
                    raise Refused("varint over 64 bits")
                return value
        raise Refused("varint over 10 bytes")


def put_varint(out, value):
    if not 0 <= value < 1 << 64:
        raise Refused(f"{value} is not a varint")
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def some_number(rng, bits=64):
    edges = [0, 1, 127, 128, 255, 256, 16383, 16384, 1 << 32, (1 << bits) - 1]
    value = rng.choice(edges) if rng.random() < 0.4 else rng.getrandbits(rng.randint(1, bits))
    return min(value, (1 << bits) - 1)


class Fixed:
    def __init__(self, size):
        self.size = size

    def read(self, reader):
        return int.from_bytes(reader.take(self.size), "little")

    def write(self, out, value):
        out += value.to_bytes(self.size, "little")

    def random(self, rng):
        return some_number(rng, self.size * 8)


class Varint:
    def __init__(self, least=0, most=(1 << 64) - 1):
        self.least, self.most = least, most

    def read(self, reader):
        value = reader.varint()
        if not self.least <= value <= self.most:
            raise Refused("number out of bounds")
        return value

    def write(self, out, value):
        put_varint(out, value)

    def random(self, rng):
        return max(self.least, min(self.most, some_number(rng)))


class Bool:
    def read(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise Refused("not a bool")
        return byte == 1

    def write(self, out, value):
        out.append(1 if value else 0)

    def random(self, rng):
        return rng.random() < 0.5


class Raw:
    def __init__(self, size):
        self.size = size

    def read(self, reader):
        return reader.take(self.size).hex()

    def write(self, out, value):
        data = bytes.fromhex(value)
        if len(data) != self.size:
            raise Refused("wrong size")
        out += data

    def random(self, rng):
        return rng.randbytes(self.size).hex()


class Bytes:
    def __init__(self, limit):
        self.limit = limit

    def read(self, reader):
        length = reader.varint()
        if length > self.limit:
            raise Refused("too long")
        return reader.take(length).hex()

    def write(self, out, value):
        data = bytes.fromhex(value)
        put_varint(out, len(data))
        out += data

    def random(self, rng):
        return rng.randbytes(rng.randint(0, min(self.limit, 300))).hex()


class Text:
    ALPHABET = "abcXYZ019-_./= \t\n\"\\\x01\x7fäß€漢🐦e\u0301"

    def __init__(self, limit, check=lambda text: True):
        self.limit, self.check = limit, check

    def read(self, reader):
        length = reader.varint()
        if length > self.limit:
            raise Refused("too long")
        data = reader.take(length)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("not UTF-8") from None
        if "\0" in text or not self.check(text):
            raise Refused("text is not allowed")
        return text

    def write(self, out, value):
        data = value.encode()
        put_varint(out, len(data))
        out += data

    def random(self, rng):
        while True:
            text = "".join(rng.choice(self.ALPHABET) for _ in range(rng.randint(0, min(self.limit, 40))))
            while len(text.encode()) > self.limit:
                text = text[:-1]
            if self.check(text):
                return text


class Array:
    def __init__(self, limit, element, key=None, least=0):
        self.limit, self.element, self.key, self.least = limit, element, key, least

    def read(self, reader):
        count = reader.varint()
        if count > self.limit:
            raise Refused("too many")
        values = [self.element.read(reader) for _ in range(count)]
        if count < self.least:
            raise Refused("too few")
        if self.key:
            keys = [self.key(value) for value in values]
            if any(left >= right for left, right in zip(keys, keys[1:])):
                raise Refused("not ascending")
        return values

    def write(self, out, values):
        put_varint(out, len(values))
        for value in values:
            self.element.write(out, value)

    def random(self, rng):
        count = rng.randint(self.least, max(self.least, min(self.limit, rng.choice([0, 1, 2, 5]))))
        values = [self.element.random(rng) for _ in range(count)]
        if self.key:
            values = [value for _, value in sorted({self.key(value): value for value in values}.items())]
        return values


class Optional:
    def __init__(self, element):
        self.element = element

    def read(self, reader):
        return self.element.read(reader) if Bool().read(reader) else None

    def write(self, out, value):
        Bool().write(out, value is not None)
        if value is not None:
            self.element.write(out, value)

    def random(self, rng):
        return self.element.random(rng) if rng.random() < 0.5 else None


class Struct:
    def __init__(self, *fields, check=lambda value: True, shape=lambda value: value):
        self.fields, self.check, self.shape = fields, check, shape

    def read(self, reader):
        value = {name: codec.read(reader) for name, codec in self.fields}
        if not self.check(value):
            raise Refused("fields do not fit")
        return value

    def write(self, out, value):
        for name, codec in self.fields:
            codec.write(out, value[name])

    def random(self, rng):
        return self.shape({name: codec.random(rng) for name, codec in self.fields})


class Names:
    """A u8 that stands for a name."""

    def __init__(self, **names):
        self.names = names
        self.numbers = {number: name for name, number in names.items()}

    def read(self, reader):
        number = reader.take(1)[0]
        if number not in self.numbers:
            raise Refused("unknown tag")
        return self.numbers[number]

    def write(self, out, value):
        out.append(self.names[value])

    def random(self, rng):
        return rng.choice(list(self.names))


class Choice:
    """A u8 tag and the fields of the tag: cases are (tag, name, [(field, codec)...])."""

    def __init__(self, *cases, check=lambda value: True, shape=lambda value: value):
        self.check, self.shape = check, shape
        self.by_tag = {tag: (name, fields) for tag, name, fields in cases}
        self.by_name = {name: (tag, fields) for tag, name, fields in cases}

    def read(self, reader):
        tag = reader.take(1)[0]
        if tag not in self.by_tag:
            raise Refused("unknown tag")
        name, fields = self.by_tag[tag]
        if not fields:
            return name
        value = {"case": name}
        for field, codec in fields:
            value[field] = codec.read(reader)
        if not self.check(value):
            raise Refused("fields do not fit")
        return value

    def write(self, out, value):
        tag, fields = self.by_name[value if isinstance(value, str) else value["case"]]
        out.append(tag)
        for field, codec in fields:
            codec.write(out, value[field])

    def random(self, rng):
        name = rng.choice(list(self.by_name))
        fields = self.by_name[name][1]
        if not fields:
            return name
        return self.shape({"case": name, **{field: codec.random(rng) for field, codec in fields}})


def value_of(codec):
    return [("value", codec)]


U8, U16, U32, U64 = Fixed(1), Fixed(2), Fixed(4), Fixed(8)
VARINT, BOOL, DIGEST, ID, SIGNATURE = Varint(), Bool(), Raw(32), Raw(32), Raw(64)
ZERO = "00" * 32


def by_text(text):
    return text.encode()


def by_field(name):
    return lambda value: value[name].encode() if name in ("key", "name") else bytes.fromhex(value[name])


# Addresses

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


# Genesis

ADDRESS = Address()
PARAMETER_BOUNDS = {"epochBlocks": (4, 1 << 24), "slashPartsPerMillion": (0, 1_000_000), "evidenceAgeEpochs": (1, 16)}
PARAMETERS = Struct(
    *(
        (name.rstrip("*"), Varint(*PARAMETER_BOUNDS.get(name, (1 if name.endswith("*") else 0, 1 << 48))))
        for name in """deltaMilliseconds* deltaCapMilliseconds* blockIntervalMinimumMilliseconds
        blockIntervalIdleMilliseconds* standstillMilliseconds* maximumClockLeadMilliseconds maximumLedgerStepMilliseconds*
        minimumFeeMicrocredits offerBondMicrocredits jobStakeMicrocredits entryDepositMicrocredits
        acceptWindowMilliseconds* renewIntervalMilliseconds* renewalsMissed* revealWindowMilliseconds*
        commitGraceMilliseconds* retentionMilliseconds maximumAssignmentsPerBlock* epochBlocks minimumStakeMicrocredits
        slashPartsPerMillion evidenceAgeEpochs""".split()
    )
)
BALANCE = Struct(("account", ID), ("amountMicrocredits", VARINT))


def genesis_fits(value):
    total = sum(balance["amountMicrocredits"] for balance in value["balances"])
    return value["createdMilliseconds"] <= 1 << 48 and total < 1 << 63


def shape_genesis(value):
    value["createdMilliseconds"] %= (1 << 48) + 1
    for balance in value["balances"]:
        balance["amountMicrocredits"] >>= 4
    return value


GENESIS = Struct(
    ("name", Text(63)),
    ("createdMilliseconds", U64),
    ("parameters", PARAMETERS),
    ("validators", Array(100, ID, bytes.fromhex, least=1)),
    ("balances", Array(65536, BALANCE, by_field("account"))),
    check=genesis_fits,
    shape=shape_genesis,
)

# Envelopes and their bodies

KINDS = {
    "nodeRecord": (1, "node-record", 512),
    "accusation": (2, "accusation", 64),
    "leave": (3, "leave", 0),
    "nodeList": (4, "node-list", 1024),
    "ping": (16, "ping", 1100),
    "ack": (17, "ack", 1100),
    "nack": (18, "nack", 1100),
    "pingRequest": (19, "ping-request", 1100),
    "transaction": (32, "transaction", 4096),
}
KIND = Names(**{name: number for name, (number, _, _) in KINDS.items()})
RECORD_KINDS = ("nodeRecord", "accusation", "leave")


class Envelope:
    """Random ones are signed by a random key; `kinds` bounds what is accepted inside a list."""

    def __init__(self, kinds=tuple(KINDS)):
        self.kinds = kinds

    def read(self, reader):
        if reader.take(1) != b"\x01":
            raise Refused("version")
        value = {"kind": KIND.read(reader), "network": reader.take(8).hex(), "author": ID.read(reader)}
        value["sequence"] = U64.read(reader)
        value["payload"] = Bytes(KINDS[value["kind"]][2]).read(reader)
        value["signature"] = SIGNATURE.read(reader)
        if value["kind"] not in self.kinds:
            raise Refused("kind is not allowed here")
        return value

    def write_unsigned(self, out, value):
        out.append(1)
        KIND.write(out, value["kind"])
        out += bytes.fromhex(value["network"])
        ID.write(out, value["author"])
        U64.write(out, value["sequence"])
        Bytes(0).write(out, value["payload"])

    def write(self, out, value):
        self.write_unsigned(out, value)
        SIGNATURE.write(out, value["signature"])

    def statement(self, value):
        out = bytearray(domain(KINDS[value["kind"]][1]))
        self.write_unsigned(out, value)
        return bytes(out)

    def random(self, rng):
        key = nacl.signing.SigningKey(rng.randbytes(32))
        kind = rng.choice(self.kinds)
        return sealed(rng, key, kind, random_body(rng, kind, key), network_of(rng))


def network_of(rng):
    return getattr(rng, "network", ZERO)


def prove(rng, key, action):
    """Binds the vote key in an action to the author of the envelope that it goes into."""
    if isinstance(action, dict) and action["case"] == "rotateKey":
        action["value"] = VOTE_KEY.proven(rng, bytes(key.verify_key).hex())


def random_body(rng, kind, key):
    while True:
        body = BODIES[kind].random(rng)
        if kind == "transaction":
            prove(rng, key, body["action"])
        if len(encode(BODIES[kind], body)) <= KINDS[kind][2]:
            return body


def sealed(rng, key, kind, body, network):
    value = {"kind": kind, "network": network[:16], "author": bytes(key.verify_key).hex(), "sequence": some_number(rng)}
    value["payload"] = encode(BODIES[kind], body).hex()
    value["signature"] = key.sign(ENVELOPE.statement(value)).signature.hex()
    return value


class Message:
    """An envelope with its decoded body and id."""

    def __init__(self, kinds=tuple(KINDS)):
        self.envelope = Envelope(kinds)

    def read(self, reader):
        return self.complete(self.envelope.read(reader))

    def complete(self, envelope):
        body = decode(BODIES[envelope["kind"]], bytes.fromhex(envelope["payload"]))
        case = "leave" if envelope["kind"] == "leave" else {"case": envelope["kind"], "value": body}
        return {"envelope": envelope, "body": case, "id": blake(encode(ENVELOPE, envelope)).hex()}

    def write(self, out, value):
        kind = value["envelope"]["kind"]
        if kind != "leave" and encode(BODIES[kind], value["body"]["value"]).hex() != value["envelope"]["payload"]:
            raise Refused("the body is not the payload's")
        self.envelope.write(out, value["envelope"])

    def random(self, rng):
        return self.complete(self.envelope.random(rng))


ENVELOPE, MESSAGE = Envelope(), Message()
RUMOURS = Array(8, Envelope(RECORD_KINDS))
EMPTY = Struct()
NODE_RECORD = Struct(
    ("name", Text(63)),
    ("addresses", Array(4, ADDRESS)),
    ("roles", U8),
    ("capabilities", DIGEST),
    ("agent", Text(31)),
    ("via", Array(3, ID, bytes.fromhex)),
    ("expiresUnixSeconds", U64),
    check=lambda value: value["roles"] <= 3,
    shape=lambda value: {**value, "roles": value["roles"] & 3},
)
ACCUSATION = Struct(("accused", ID), ("incarnation", U64))
NODE_HINT = Struct(("id", ID), ("addresses", Array(4, ADDRESS)))
NODE_LIST = Struct(("expiresUnixSeconds", U64), ("nodes", Array(16, NODE_HINT, by_field("id"))))
PING = ACK = Struct(("receiver", ID), ("number", VARINT), ("height", U64), ("observed", ADDRESS), ("rumours", RUMOURS))
NACK = Struct(("receiver", ID), ("number", VARINT))
PING_REQUEST = Struct(("receiver", ID), ("number", VARINT), ("target", ID))

# The ledger

LABEL = Struct(("key", Text(63)), ("value", Text(63)))
LABELS = Array(16, LABEL, by_field("key"))
RESOURCES = Struct(("cpuMilli", U32), ("memoryBytes", VARINT), ("diskBytes", VARINT))
GPU_OFFER = Struct(("vendor", Text(63)), ("model", Text(63)), ("memoryBytes", VARINT))
PRICES = Struct(
    ("cpuSecondMicrocredits", VARINT), ("memoryGiBSecondMicrocredits", VARINT), ("gpuSecondMicrocredits", VARINT)
)
ISOLATION = Names(rlimit=1, cgroup1=2, cgroup2=3)
OFFER_TERMS = Struct(
    ("resources", RESOURCES),
    ("gpus", Array(16, GPU_OFFER)),
    ("labels", LABELS),
    ("drivers", Array(8, Text(63), by_text)),
    ("isolation", ISOLATION),
    ("maximumJobs", U16),
    ("prices", PRICES),
    ("validUntilMilliseconds", U64),
)
JOB_TERMS = Struct(
    ("specification", DIGEST),
    ("resources", RESOURCES),
    ("gpuCount", U8),
    ("gpuMemoryBytes", VARINT),
    ("labels", LABELS),
    ("driver", Text(63)),
    ("isolation", ISOLATION),
    ("mayRunOnSubmitter", BOOL),
    ("replication", U8),
    ("retries", U8),
    ("maximumPricePerSecondMicrocredits", VARINT),
    ("wallLimitMilliseconds", VARINT),
    ("startDeadlineMilliseconds", U64),
)
VARIABLE = Struct(("key", Text(255, lambda text: text and "=" not in text)), ("value", Text(65536)))
INPUT = Struct(
    ("name", Text(255, lambda text: text not in ("", ".", "..") and "/" not in text)),
    ("root", DIGEST),
    ("isDirectory", BOOL),
)


def shape_specification(value):
    value["command"][0] = value["command"][0] or "x"
    return value


JOB_SPECIFICATION = Struct(
    ("command", Array(1024, Text(65536), least=1)),
    ("environment", Array(256, VARIABLE, by_field("key"))),
    ("inputs", Array(256, INPUT, by_field("name"))),
    check=lambda value: value["command"][0] != "",
    shape=shape_specification,
)
EXIT_STATUS = Choice(
    (1, "exited", [("code", U8)]),
    (2, "signalled", [("signal", U8)]),
    (3, "wallLimit", []),
    (4, "memoryLimit", []),
    (5, "startFailed", []),
    (6, "lost", []),
    (7, "diskLimit", []),
)
USAGE = Struct(("wallMilliseconds", VARINT), ("cpuMicroseconds", VARINT), ("peakMemoryBytes", VARINT))
LEASE_COMMITMENT = Struct(("lease", DIGEST), ("commitment", DIGEST))
LEASE_RESULT = Struct(
    ("lease", DIGEST), ("outputRoot", DIGEST), ("exit", EXIT_STATUS), ("usage", USAGE), ("message", Text(200)), ("salt", DIGEST)
)


class VoteSubject:
    KIND = Names(notarize=1, nullify=2, finalize=3)

    def read(self, reader):
        value = {"kind": self.KIND.read(reader), "epoch": reader.varint(), "view": reader.varint()}
        value["parentView"] = 0 if value["kind"] == "nullify" else reader.varint()
        value["blockID"] = ZERO if value["kind"] == "nullify" else DIGEST.read(reader)
        if value["parentView"] >= value["view"]:
            raise Refused("view")
        return value

    def write(self, out, value):
        self.KIND.write(out, value["kind"])
        put_varint(out, value["epoch"])
        put_varint(out, value["view"])
        if value["kind"] != "nullify":
            put_varint(out, value["parentView"])
            DIGEST.write(out, value["blockID"])
        elif value["parentView"] != 0 or value["blockID"] != ZERO:
            raise Refused("a nullify names no block")

    def random(self, rng, kind=None, block=None, epoch=None):
        kind = kind or self.KIND.random(rng)
        parent = 0 if kind == "nullify" else some_number(rng) >> 1
        value = {"kind": kind, "epoch": some_number(rng) if epoch is None else epoch,
                 "view": max(some_number(rng), parent + 1), "parentView": parent}
        value["blockID"] = ZERO if kind == "nullify" else block or DIGEST.random(rng)
        return value

    def statement(self, value, network):
        return domain("vote/" + value["kind"])[:-1] + b"\0" + bytes.fromhex(network) + encode(self, value)

    def order(self, value):
        """What subjects are sorted by: numbers as numbers."""
        number = self.KIND.names[value["kind"]]
        return (value["epoch"], value["view"], number, value["parentView"], bytes.fromhex(value["blockID"]))


VOTE_SUBJECT = VoteSubject()
VOTE = Struct(("subject", VOTE_SUBJECT), ("voter", U16), ("signature", SIGNATURE))


class VoteKey(Struct):
    def __init__(self):
        super().__init__(("key", ID), ("proof", SIGNATURE))

    def statement(self, value, network, node):
        return domain("vote-key") + bytes.fromhex(network) + bytes.fromhex(node) + bytes.fromhex(value["key"])

    def proven(self, rng, node):
        signing = nacl.signing.SigningKey(rng.randbytes(32))
        value = {"key": bytes(signing.verify_key).hex()}
        value["proof"] = signing.sign(self.statement(value, network_of(rng), node)).signature.hex()
        return value


def contradicts(value):
    """Two votes that no honest validator signs together, the lower subject first."""
    first, second = value["first"], value["second"]
    one, other = first["subject"], second["subject"]
    kinds = (one["kind"], other["kind"])
    if kinds not in (("notarize", "notarize"), ("finalize", "finalize"), ("nullify", "finalize")):
        return False
    same = (first["voter"], one["epoch"], one["view"]) == (second["voter"], other["epoch"], other["view"])
    return same and VOTE_SUBJECT.order(one) < VOTE_SUBJECT.order(other)


class Evidence(Struct):
    def __init__(self):
        super().__init__(("key", ID), ("first", VOTE), ("second", VOTE), check=contradicts)

    def random(self, rng):
        signing, voter = nacl.signing.SigningKey(rng.randbytes(32)), U16.random(rng)
        kinds = rng.choice([("notarize", "notarize"), ("finalize", "finalize"), ("nullify", "finalize")])
        epoch, view = some_number(rng), max(1, some_number(rng))
        votes = []
        for kind in kinds:
            subject = {"kind": kind, "epoch": epoch, "view": view, "parentView": 0, "blockID": ZERO}
            if kind != "nullify":
                subject["parentView"], subject["blockID"] = some_number(rng) % view, DIGEST.random(rng)
            signature = signing.sign(VOTE_SUBJECT.statement(subject, network_of(rng))).signature.hex()
            votes.append({"subject": subject, "voter": voter, "signature": signature})
        votes.sort(key=lambda vote: VOTE_SUBJECT.order(vote["subject"]))
        return {"key": bytes(signing.verify_key).hex(), "first": votes[0], "second": votes[1]}


VOTE_KEY, EVIDENCE = VoteKey(), Evidence()
ACTION = Choice(
    (1, "transfer", [("to", ID), ("amountMicrocredits", VARINT)]),
    (2, "offer", value_of(OFFER_TERMS)),
    (3, "withdraw", []),
    (4, "submitJob", value_of(JOB_TERMS)),
    (5, "cancelJob", [("job", DIGEST)]),
    (6, "renew", []),
    (7, "acceptLease", [("lease", DIGEST)]),
    (8, "declineLease", [("lease", DIGEST), ("reason", Text(200))]),
    (9, "commitResults", value_of(Array(32, LEASE_COMMITMENT, by_field("lease")))),
    (10, "revealResults", value_of(Array(32, LEASE_RESULT, by_field("lease")))),
    (11, "attest", [("provider", ID), ("liveness", Names(down=0, up=1))]),
    (12, "stake", [("amountMicrocredits", VARINT)]),
    (13, "unstake", []),
    (14, "rotateKey", value_of(VOTE_KEY)),
    (15, "registerBeacon", [("tip", DIGEST), ("length", Varint(1, 1 << 20))]),
    (16, "evidence", value_of(EVIDENCE)),
)
TRANSACTION = Struct(("nonce", VARINT), ("feeMicrocredits", VARINT), ("expiresMilliseconds", U64), ("action", ACTION))
BODIES = {
    "nodeRecord": NODE_RECORD,
    "accusation": ACCUSATION,
    "leave": EMPTY,
    "nodeList": NODE_LIST,
    "ping": PING,
    "ack": ACK,
    "nack": NACK,
    "pingRequest": PING_REQUEST,
    "transaction": TRANSACTION,
}

# Blocks, votes, certificates


def shape_header(value):
    value["parentView"] >>= 1
    value["view"] = max(value["view"], value["parentView"] + 1)
    return value


BLOCK_HEADER = Struct(
    ("epoch", VARINT),
    ("view", VARINT),
    ("height", Varint(least=1)),
    ("parentID", DIGEST),
    ("parentView", VARINT),
    ("timestampMilliseconds", U64),
    ("transactionsRoot", DIGEST),
    ("stateRoot", DIGEST),
    ("nextValidators", DIGEST),
    ("reveal", DIGEST),
    check=lambda value: value["view"] > value["parentView"],
    shape=shape_header,
)


def transactions_root(transactions):
    return blake(domain("transactions") + b"".join(bytes.fromhex(message["id"]) for message in transactions)).hex()


class Block:
    TRANSACTIONS = Array(4096, Message(("transaction",)))

    def read(self, reader):
        start = reader.position
        header = BLOCK_HEADER.read(reader)
        transactions = self.TRANSACTIONS.read(reader)
        if reader.position - start > 2097152:
            raise Refused("block too long")
        if transactions_root(transactions) != header["transactionsRoot"]:
            raise Refused("transactions root")
        return {"header": header, "transactions": transactions, "id": self.id(header)}

    def id(self, header):
        return blake(domain("block") + encode(BLOCK_HEADER, header)).hex()

    def write(self, out, value):
        BLOCK_HEADER.write(out, value["header"])
        self.TRANSACTIONS.write(out, value["transactions"])

    def random(self, rng):
        header, transactions = BLOCK_HEADER.random(rng), self.TRANSACTIONS.random(rng)
        header["transactionsRoot"] = transactions_root(transactions)
        return {"header": header, "transactions": transactions, "id": self.id(header)}


BLOCK = Block()


class Certificate:
    def read(self, reader):
        subject = VOTE_SUBJECT.read(reader)
        bitmap = bytes.fromhex(Bytes(13).read(reader))
        if bitmap and bitmap[-1] == 0:
            raise Refused("bitmap is not minimal")
        signers = [8 * j + i for j, byte in enumerate(bitmap) for i in range(8) if byte >> i & 1]
        return {"subject": subject, "signers": signers, "signatures": [SIGNATURE.read(reader) for _ in signers]}

    def write(self, out, value):
        VOTE_SUBJECT.write(out, value["subject"])
        if any(a >= b for a, b in zip(value["signers"], value["signers"][1:])):
            raise Refused("signers are not ascending")
        bits = sum(1 << signer for signer in value["signers"])
        bitmap = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        Bytes(13).write(out, bitmap.hex())
        for signature in value["signatures"]:
            SIGNATURE.write(out, signature)

    def random(self, rng, subject=None):
        count = rng.choice([0, 1, 4, 9])
        return {
            "subject": subject or VOTE_SUBJECT.random(rng),
            "signers": sorted(rng.sample(range(104), count)),
            "signatures": [SIGNATURE.random(rng) for _ in range(count)],
        }


CERTIFICATE = Certificate()

# Epochs and snapshots

VALIDATOR = Struct(("node", ID), ("key", ID))
VALIDATORS = Array(100, VALIDATOR, least=1)


def validators_digest(validators):
    return blake(domain("validators") + encode(VALIDATORS, validators)).hex()


class EpochLink(Struct):
    def __init__(self):
        super().__init__(
            ("header", BLOCK_HEADER), ("finalization", CERTIFICATE), ("next", VALIDATORS), check=self.fits)

    def fits(self, value):
        header, subject, following = value["header"], value["finalization"]["subject"], value["next"]
        return (
            subject["kind"] == "finalize"
            and subject["epoch"] == header["epoch"] < (1 << 64) - 1
            and subject["blockID"] == BLOCK.id(header)
            and all(len({entry[name] for entry in following}) == len(following) for name in ("node", "key"))
            and header["nextValidators"] == validators_digest(following)
        )

    def random(self, rng):
        header, following = BLOCK_HEADER.random(rng), [VALIDATOR.random(rng) for _ in range(rng.choice([1, 2, 100]))]
        header["epoch"] = min(header["epoch"], (1 << 64) - 2)
        header["nextValidators"] = validators_digest(following)
        subject = VOTE_SUBJECT.random(rng, "finalize", BLOCK.id(header), header["epoch"])
        return {"header": header, "finalization": CERTIFICATE.random(rng, subject), "next": following}


EPOCH_LINK = EpochLink()
SNAPSHOT_ENTRY = Struct(("table", U8), ("key", Bytes(128)), ("value", Bytes(65536)))
MERKLE_SIBLING = Choice((0, "empty", []), (1, "leaf", [("key", DIGEST), ("value", DIGEST)]), (2, "inner", value_of(DIGEST)))


class SnapshotChunk(Struct):
    def __init__(self):
        super().__init__(
            ("height", VARINT), ("depth", U8), ("prefix", DIGEST), ("entries", Array(16384, SNAPSHOT_ENTRY)),
            ("siblings", Array(64, MERKLE_SIBLING)), check=self.fits)

    def fits(self, value):
        behind = (1 << 256 - value["depth"]) - 1 if value["depth"] <= 64 else 0
        return (
            value["depth"] <= 64
            and len(value["siblings"]) <= value["depth"]
            and int(value["prefix"], 16) & behind == 0
            and len(encode(Struct(*self.fields), value)) <= 1572864
        )

    def random(self, rng):
        value = super().random(rng)
        depth = value["depth"] = rng.randint(0, 64)
        value["prefix"] = f"{rng.getrandbits(depth) << 256 - depth if depth else 0:064x}"
        value["siblings"] = [MERKLE_SIBLING.random(rng) for _ in range(rng.choice([depth, rng.randint(0, depth)]))]
        return value


SNAPSHOT_CHUNK = SnapshotChunk()

# Link messages


def consensus_fits(value):
    if value["case"] == "proposal":
        subject, block = value["1"]["subject"], value["0"]
        return (
            subject["kind"] == "notarize"
            and subject["blockID"] == block["id"]
            and subject["epoch"] == block["header"]["epoch"]
        )
    if value["case"] == "certificateRequest":
        return 0 <= value["to"] - value["from"] < 64
    if value["case"] == "chain":
        blocks, subject = value["0"], value["finalization"]["subject"]
        linked = all(
            child["header"]["parentID"] == parent["id"]
            and child["header"]["height"] == parent["header"]["height"] + 1
            and child["header"]["epoch"] == parent["header"]["epoch"] == subject["epoch"]
            for parent, child in zip(blocks, blocks[1:])
        )
        if not blocks or not linked or subject["kind"] != "finalize":
            return False
        return subject["blockID"] == blocks[-1]["id"] and subject["epoch"] == blocks[-1]["header"]["epoch"]
    if value["case"] == "epochs":
        epochs = [link["header"]["epoch"] for link in value["value"]]
        return all(left < right for left, right in zip(epochs, epochs[1:]))
    return True


def shape_consensus(value):
    rng = random.Random(json.dumps(value, sort_keys=True))
    if value["case"] == "proposal":
        block = value["0"]
        value["1"]["subject"] = VOTE_SUBJECT.random(rng, "notarize", block["id"], block["header"]["epoch"])
    if value["case"] == "certificateRequest":
        value["from"] >>= 1
        value["to"] = value["from"] + rng.choice([0, 1, 63])
    if value["case"] == "chain":
        blocks = value["0"] or [BLOCK.random(rng)]
        blocks[0]["header"]["height"] = rng.choice([1, 2, 300, 1 << 40])
        for index, block in enumerate(blocks):
            if index:
                block["header"]["parentID"] = blocks[index - 1]["id"]
                block["header"]["height"] = blocks[index - 1]["header"]["height"] + 1
                block["header"]["epoch"] = blocks[0]["header"]["epoch"]
            block["id"] = BLOCK.id(block["header"])
        value["0"] = blocks
        subject = VOTE_SUBJECT.random(rng, "finalize", blocks[-1]["id"], blocks[-1]["header"]["epoch"])
        value["finalization"] = CERTIFICATE.random(rng, subject)
    if value["case"] == "epochs":
        links = {link["header"]["epoch"]: link for link in value["value"]}
        value["value"] = [link for _, link in sorted(links.items())]
    return value


CONSENSUS = Choice(
    (1, "vote", value_of(VOTE)),
    (2, "certificate", value_of(CERTIFICATE)),
    (3, "proposal", [("0", BLOCK), ("1", VOTE)]),
    (4, "blockRequest", value_of(Array(16, DIGEST))),
    (5, "blocks", value_of(Array(16, BLOCK))),
    (6, "certificateRequest", [("from", VARINT), ("to", VARINT)]),
    (7, "certificates", value_of(Array(128, CERTIFICATE))),
    (8, "chainRequest", [("fromHeight", VARINT)]),
    (9, "chain", [("0", Array(64, BLOCK)), ("finalization", CERTIFICATE)]),
    (10, "epochRequest", [("fromEpoch", VARINT)]),
    (11, "epochs", value_of(Array(64, EPOCH_LINK))),
    (12, "snapshotRequest", [("height", VARINT), ("covering", DIGEST)]),
    (13, "snapshot", value_of(SNAPSHOT_CHUNK)),
    (14, "relayRequest", [("epoch", VARINT), ("voters", Array(100, U16, lambda voter: voter))]),
    check=consensus_fits,
    shape=shape_consensus,
)
GOSSIP = Choice(
    (1, "publish", value_of(Array(64, ENVELOPE))),
    (2, "announce", value_of(Array(512, DIGEST))),
    (3, "request", value_of(Array(512, DIGEST))),
    (4, "graft", []),
    (5, "prune", [("reason", Names(full=1, score=2, leaving=3, graftTooSoon=4)), ("backoffSeconds", Varint(0, 3600))]),
    (6, "unwanted", value_of(Array(512, DIGEST))),
)
BUCKET_COUNTS = (16, 32, 64, 128, 256)


class MemberDigest:
    def read(self, reader):
        count = U16.read(reader)
        if count not in BUCKET_COUNTS:
            raise Refused("bucket count")
        return {"buckets": [Raw(16).read(reader) for _ in range(count)]}

    def write(self, out, value):
        U16.write(out, len(value["buckets"]))
        for bucket in value["buckets"]:
            Raw(16).write(out, bucket)

    def random(self, rng):
        return {"buckets": [bucket_of_one(rng) if rng.random() < 0.5 else "00" * 16 for _ in range(rng.choice(BUCKET_COUNTS))]}


def bucket_of_one(rng):
    """What one member adds to its bucket."""
    hashed = domain("digest") + rng.randbytes(32) + rng.randbytes(8) + bytes([rng.randint(0, 1)])
    return blake(hashed)[:16].hex()


def request_fits(value):
    numbers = bytes.fromhex(value["buckets"])
    return (
        value["bucketCount"] in BUCKET_COUNTS
        and all(left < right for left, right in zip(numbers, numbers[1:]))
        and all(number < value["bucketCount"] for number in numbers)
    )


def shape_request(value):
    rng = random.Random(json.dumps(value, sort_keys=True))
    count = value["bucketCount"] = rng.choice(BUCKET_COUNTS)
    value["buckets"] = bytes(sorted(rng.sample(range(count), rng.randint(0, count)))).hex()
    return value


MEMBER_DIGEST = MemberDigest()
MEMBER_REQUEST = Struct(("bucketCount", U16), ("buckets", Bytes(256)), check=request_fits, shape=shape_request)
SERVICE = Struct(("number", VARINT), ("isAnswer", BOOL), ("service", U8), ("body", Bytes(1048576)))
LINK = Choice(
    (1, "consensus", value_of(CONSENSUS)),
    (2, "gossip", value_of(GOSSIP)),
    (3, "members", value_of(Array(1024, Envelope(RECORD_KINDS)))),
    (4, "service", value_of(SERVICE)),
    (5, "memberDigest", value_of(MEMBER_DIGEST)),
    (6, "memberRequest", value_of(MEMBER_REQUEST)),
)

# Invites


class Invite(Struct):
    LONGEST_TEXT = 295

    def __init__(self):
        super().__init__(
            ("networkID", DIGEST), ("node", ID), ("addresses", Array(4, ADDRESS, least=1)), ("grant", Optional(DIGEST)))

    def read(self, reader):
        if reader.take(1) != b"\x01":
            raise Refused("version")
        return super().read(reader)

    def write(self, out, value):
        out.append(1)
        super().write(out, value)


INVITE = Invite()


def invite_text(data):
    return bech32_text(data, "lninvite")


def invite_bytes(text):
    """The bytes of an invite's text; None for what is refused."""
    data = bech32_bytes(text, "lninvite", Invite.LONGEST_TEXT)
    try:
        return None if data is None else encode(INVITE, decode(INVITE, data))
    except Refused:
        return None

# The bodies of services

CHUNK_BYTES = 262144
BLOB_REQUEST = Struct(("root", DIGEST), ("firstChunk", U32), ("count", U16), check=lambda value: value["count"] > 0,
                      shape=lambda value: {**value, "count": max(1, value["count"])})
LOG_REQUEST = Struct(("lease", DIGEST), ("isError", BOOL), ("offset", VARINT))
LOG_ANSWER = Struct(("bytes", Bytes(65536)), ("nextOffset", VARINT), ("isComplete", BOOL))
GENESIS_REQUEST = Struct(("offset", Varint(0, 8388608)))
GENESIS_ANSWER = Struct(
    ("total", Varint(0, 8388608)),
    ("bytes", Bytes(524288)),
    check=lambda value: len(value["bytes"]) // 2 <= value["total"],
    shape=lambda value: {**value, "total": max(value["total"], len(value["bytes"]) // 2)},
)
DIAL_BACK_REQUEST = Struct(("port", U16), check=lambda value: value["port"] > 0,
                           shape=lambda value: {"port": max(1, value["port"])})
DIAL_BACK_ANSWER = Struct(("isReached", BOOL), ("reason", Text(100)))
CONNECT_REQUEST = Choice((1, "tell", value_of(ID)), (2, "dial", value_of(ID)))
CONNECT_ANSWER = Names(dialling=1, notLinked=2, noAddress=3, tooMany=4)


def chunk_shape(size, index):
    """The length and the number of proof digests of a chunk; refused when a blob of that size has no such chunk."""
    count = max(1, -(-size // CHUNK_BYTES))
    if size > 1 << 40 or index >= count:
        raise Refused("no such chunk")
    length, proof = min(CHUNK_BYTES, size - index * CHUNK_BYTES), 0
    while count > 1:
        proof += 1 if index ^ 1 < count else 0
        index, count = index // 2, (count + 1) // 2
    return length, proof


class BlobChunks:
    def read(self, reader):
        count = reader.take(1)[0]
        if count > 2:
            raise Refused("too many chunks")
        return [self.chunk(reader) for _ in range(count)]

    def chunk(self, reader):
        value = {"index": U32.read(reader), "totalSize": U64.read(reader)}
        length, proof = chunk_shape(value["totalSize"], value["index"])
        if reader.take(1)[0] != proof:
            raise Refused("proof count")
        value["proof"] = [DIGEST.read(reader) for _ in range(proof)]
        if U32.read(reader) != length:
            raise Refused("chunk length")
        value["bytes"] = reader.take(length).hex()
        return value

    def write(self, out, values):
        out.append(len(values))
        for value in values:
            U32.write(out, value["index"])
            U64.write(out, value["totalSize"])
            out.append(len(value["proof"]))
            for digest in value["proof"]:
                DIGEST.write(out, digest)
            U32.write(out, len(value["bytes"]) // 2)
            out += bytes.fromhex(value["bytes"])

    def random(self, rng):
        values = []
        for _ in range(rng.randint(0, 2)):
            chunks = rng.choice([1, 2, 3, 5, 1 << 22])
            rest = rng.randint(0 if chunks == 1 else 1, 40)
            size = (chunks - 1) * CHUNK_BYTES + rest
            length, proof = chunk_shape(size, chunks - 1)
            values.append({"index": chunks - 1, "totalSize": size, "proof": [DIGEST.random(rng) for _ in range(proof)],
                           "bytes": rng.randbytes(length).hex()})
        return values


def blob_root(kind, data):
    level = [blake(b"\0" + data[i : i + CHUNK_BYTES]) for i in range(0, max(1, len(data)), CHUNK_BYTES)]
    while len(level) > 1:
        level = [
            blake(b"\1" + level[i] + level[i + 1]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)
        ]
    return blake(bytes([kind]) + len(data).to_bytes(8, "little") + level[0])


TYPES = {
    "PeerAddress": ADDRESS, "Genesis": GENESIS, "Balance": BALANCE, "ChainParameters": PARAMETERS,
    "Envelope": ENVELOPE, "Message": MESSAGE, "NodeRecord": NODE_RECORD, "Accusation": ACCUSATION, "Ping": PING, "Ack": ACK,
    "Nack": NACK, "PingRequest": PING_REQUEST, "Transaction": TRANSACTION, "TransactionAction": ACTION,
    "OfferTerms": OFFER_TERMS, "Resources": RESOURCES, "GPUOffer": GPU_OFFER, "Label": LABEL, "Prices": PRICES,
    "JobTerms": JOB_TERMS, "JobSpecification": JOB_SPECIFICATION, "Input": INPUT, "LeaseCommitment": LEASE_COMMITMENT,
    "LeaseResult": LEASE_RESULT, "VoteKey": VOTE_KEY, "Evidence": EVIDENCE, "Validator": VALIDATOR, "EpochLink": EPOCH_LINK,
    "SnapshotEntry": SNAPSHOT_ENTRY, "MerkleSibling": MERKLE_SIBLING, "SnapshotChunk": SNAPSHOT_CHUNK,
    "ExitStatus": EXIT_STATUS, "Usage": USAGE, "BlockHeader": BLOCK_HEADER, "Block": BLOCK,
    "VoteSubject": VOTE_SUBJECT, "Vote": VOTE, "Certificate": CERTIFICATE, "LinkMessage": LINK,
    "ConsensusMessage": CONSENSUS, "GossipMessage": GOSSIP, "ServiceMessage": SERVICE, "NodeHint": NODE_HINT,
    "NodeList": NODE_LIST, "MemberDigest": MEMBER_DIGEST, "MemberRequest": MEMBER_REQUEST, "Invite": INVITE,
    "GenesisRequest": GENESIS_REQUEST, "GenesisAnswer": GENESIS_ANSWER, "DialBackRequest": DIAL_BACK_REQUEST,
    "DialBackAnswer": DIAL_BACK_ANSWER, "ConnectRequest": CONNECT_REQUEST, "ConnectAnswer": CONNECT_ANSWER,
}
# Not in Sources/Wire, so only this file checks itself on them here; the targets that own them test their own.
SERVICE_TYPES = {
    "BlobRequest": BLOB_REQUEST, "BlobChunks": BlobChunks(), "LogRequest": LOG_REQUEST, "LogAnswer": LOG_ANSWER,
}


def encode(codec, value):
    out = bytearray()
    codec.write(out, value)
    return bytes(out)


def decode(codec, data):
    reader = Reader(data)
    value = codec.read(reader)
    if reader.position != len(data):
        raise Refused("trailing bytes")
    return value


# What is signed or hashed besides an encoding


def verifies(key, statement, signature):
    try:
        nacl.signing.VerifyKey(bytes.fromhex(key)).verify(statement, bytes.fromhex(signature))
        return True
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.CryptoError):
        return False


def message_verifies(envelope, network):
    return (
        envelope["network"] == network[:16]
        and verifies(envelope["author"], ENVELOPE.statement(envelope), envelope["signature"])
        and inner_verifies(envelope, network)
    )


def inner_verifies(envelope, network):
    """What a transaction carries besides the author's own signature."""
    if envelope["kind"] != "transaction":
        return True
    action = decode(TRANSACTION, bytes.fromhex(envelope["payload"]))["action"]
    case = action["case"] if isinstance(action, dict) else action
    if case == "rotateKey":
        return vote_key_verifies(action["value"], network, envelope["author"])
    if case == "evidence":
        return evidence_verifies(action["value"], network)
    return True


def vote_key_verifies(value, network, node):
    return verifies(value["key"], VOTE_KEY.statement(value, network, node), value["proof"])


def evidence_verifies(value, network):
    return all(
        verifies(value["key"], VOTE_SUBJECT.statement(vote["subject"], network), vote["signature"])
        for vote in (value["first"], value["second"])
    )


def vote_verifies(subject, voter, signature, network, validators):
    return voter < len(validators) and verifies(validators[voter], VOTE_SUBJECT.statement(subject, network), signature)


def certificate_verifies(value, network, validators):
    quorum = len(validators) - (len(validators) - 1) // 3
    return len(value["signers"]) >= quorum and all(
        vote_verifies(value["subject"], voter, signature, network, validators)
        for voter, signature in zip(value["signers"], value["signatures"])
    )


def signed_holds(entry, value):
    """True when every signature in a signed entry verifies."""
    network, validators = entry["networkID"], entry.get("validators", [])
    if entry["type"] == "EpochLink":
        value = value["finalization"]
    if validators and value["subject"]["epoch"] != entry["epoch"]:
        return False
    if entry["type"] == "VoteKey":
        return vote_key_verifies(value, network, entry["node"])
    if entry["type"] == "Evidence":
        return evidence_verifies(value, network)
    if entry["type"] == "Vote":
        return vote_verifies(value["subject"], value["voter"], value["signature"], network, validators)
    if entry["type"] in ("Certificate", "EpochLink"):
        return certificate_verifies(value, network, validators)
    if entry["type"] == "Message":
        return message_verifies(value["envelope"], network)
    if entry["type"] == "Block":
        return all(message_verifies(message["envelope"], network) for message in value["transactions"])
    return True


def extras(entry, value):
    """What an entry says besides fields and bytes, computed anew, for the names that it has."""
    data, kind = bytes.fromhex(entry["hex"]), entry["type"]
    network = entry.get("networkID")
    answer = {}
    if kind == "Genesis":
        answer["networkID"] = blake(domain("genesis") + data).hex()
    if kind == "Block":
        answer["id"] = value["id"]
    if kind == "BlockHeader":
        answer["id"] = BLOCK.id(value)
    if kind == "LeaseResult" and "provider" in entry:
        bound = domain("result") + bytes.fromhex(network) + bytes.fromhex(entry["provider"]) + data
        answer["commitment"] = blake(bound).hex()
    if kind == "Message":
        answer["id"] = value["id"]
        answer["statement"] = ENVELOPE.statement(value["envelope"]).hex()
        answer["signature"] = value["envelope"]["signature"]
    if kind == "VoteKey" and "node" in entry:
        answer["statement"] = VOTE_KEY.statement(value, network, entry["node"]).hex()
        answer["signature"] = value["proof"]
    if kind == "Vote" and network:
        answer["statement"] = VOTE_SUBJECT.statement(value["subject"], network).hex()
        answer["signature"] = value["signature"]
    if kind == "Certificate" and network:
        answer["statement"] = VOTE_SUBJECT.statement(value["subject"], network).hex()
    if "seed" in entry:
        key = nacl.signing.SigningKey(bytes.fromhex(entry["seed"]))
        made = key.sign(bytes.fromhex(answer["statement"])).signature.hex()
        if made != answer["signature"]:
            raise AssertionError("the seed's key does not make the signature")
    return answer


def check_accepted(entry):
    """Checks one entry in every way; answers the decoded fields."""
    codec, data = TYPES[entry["type"]], bytes.fromhex(entry["hex"])
    value = decode(codec, data)
    assert encode(codec, value) == data, "encode of decode differs"
    if "fields" in entry:
        assert encode(codec, entry["fields"]).hex() == entry["hex"], "fields encode to other bytes"
        assert value == entry["fields"], "bytes decode to other fields"
    for name, computed in extras(entry, value).items():
        if name in entry:
            assert entry[name] == computed, f"{name} is {computed}"
    if "networkID" in entry:
        assert signed_holds(entry, value), "a signature does not verify"
    return value


def refuses(entry):
    try:
        decode(TYPES[entry["type"]], bytes.fromhex(entry["hex"]))
    except Refused:
        return True
    return False


def check_text(entry):
    text, data = entry["text"], None if entry["hex"] is None else bytes.fromhex(entry["hex"])
    readers = {"NodeID": id_bytes, "Invite": invite_bytes, "PeerAddress": address_bytes}
    writers = {"NodeID": id_text, "Invite": invite_text, "PeerAddress": lambda data: decode(ADDRESS, data)}
    read = readers[entry["type"]](text)
    assert read == data, f"{text!r} reads as {read and read.hex()}"
    if data is not None:
        written = writers[entry["type"]](data)
        assert written == entry.get("written", text), f"{text!r} is written as {written}"


def check_self():
    """What the vectors do not hold: services, and mutations of random values of all types."""
    rng, count = random.Random(1), 0
    for name, codec in {**TYPES, **SERVICE_TYPES}.items():
        for _ in range(20):
            value = codec.random(rng)
            data = encode(codec, value)
            assert decode(codec, data) == value, name
            for _ in range(10):
                mutant = bytearray(data) or bytearray(b"\0")
                mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
                try:
                    again = encode(codec, decode(codec, bytes(mutant)))
                except Refused:
                    continue
                assert again == bytes(mutant), name
            count += 1
    assert blob_root(2, b"") == blake(b"\2" + bytes(8) + blake(b"\0"))
    return count


def check(path):
    vectors = json.loads(path.read_text())
    failures = 0

    def run(kind, entry, body):
        nonlocal failures
        try:
            body()
        except (AssertionError, Refused, KeyError, ValueError, TypeError, IndexError) as error:
            failures += 1
            print(f"{kind} {entry.get('name') or entry.get('text')}: {type(error).__name__}: {error}", file=sys.stderr)

    def refused(entry):
        assert refuses(entry), "decodes"

    def forged(entry):
        assert not signed_holds(entry, decode(TYPES[entry["type"]], bytes.fromhex(entry["hex"]))), "verifies"

    bodies = {"accepted": check_accepted, "refused": refused, "forged": forged, "text": check_text}
    for kind, body in bodies.items():
        for entry in vectors[kind]:
            run(kind, entry, lambda: body(entry))
    missing = [name for name in TYPES if sum(entry["type"] == name for entry in vectors["accepted"]) < 2]
    if missing:
        failures += 1
        print(f"fewer than two accepted vectors: {', '.join(missing)}", file=sys.stderr)
    own = check_self()
    counts = ", ".join(f"{len(vectors[kind])} {kind}" for kind in bodies)
    print(f"wire reference: {counts}; {own} random values of all types; {failures} failures")
    return 1 if failures else 0


def write(seed):
    """Random entries of every type, the signed ones with what it takes to verify them."""
    rng = random.Random(seed)
    rng.network = rng.randbytes(32).hex()
    for name, codec in TYPES.items():
        for _ in range(8):
            value = codec.random(rng)
            entry = {"type": name, "fields": value, "hex": encode(codec, value).hex()}
            if name in ("Message", "Block", "Evidence"):
                entry["networkID"] = rng.network
            if name == "VoteKey":
                node = ID.random(rng)
                value = entry["fields"] = VOTE_KEY.proven(rng, node)
                entry.update(hex=encode(codec, value).hex(), networkID=rng.network, node=node)
            entry.update(extras(entry, value))
            show(entry)
    for size in (1, 4, 7, 100):
        keys = sorted((nacl.signing.SigningKey(rng.randbytes(32)) for _ in range(size)), key=lambda k: bytes(k.verify_key))
        validators = [bytes(key.verify_key).hex() for key in keys]
        for kind in ("notarize", "nullify", "finalize"):
            subject = VOTE_SUBJECT.random(rng, kind)
            statement = VOTE_SUBJECT.statement(subject, rng.network)
            signers = sorted(rng.sample(range(size), rng.randint(size - (size - 1) // 3, size)))
            signatures = [keys[signer].sign(statement).signature.hex() for signer in signers]
            bound = {"networkID": rng.network, "validators": validators, "epoch": subject["epoch"]}
            vote = {"subject": subject, "voter": signers[0], "signature": signatures[0]}
            certificate = {"subject": subject, "signers": signers, "signatures": signatures}
            for name, value in (("Vote", vote), ("Certificate", certificate)):
                entry = {"type": name, "fields": value, "hex": encode(TYPES[name], value).hex(), **bound}
                entry.update(extras(entry, value))
                assert signed_holds(entry, value)
                show(entry)
        link = EPOCH_LINK.random(rng)
        subject = link["finalization"]["subject"]
        signers = sorted(rng.sample(range(size), size - (size - 1) // 3))
        statement = VOTE_SUBJECT.statement(subject, rng.network)
        signatures = [keys[signer].sign(statement).signature.hex() for signer in signers]
        link["finalization"] = {"subject": subject, "signers": signers, "signatures": signatures}
        entry = {"type": "EpochLink", "fields": link, "hex": encode(EPOCH_LINK, link).hex(), "networkID": rng.network}
        entry.update(validators=validators, epoch=subject["epoch"])
        assert signed_holds(entry, link)
        show(entry)


def show(value):
    print(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def read():
    for line in sys.stdin:
        entry = json.loads(line)
        try:
            show(check_accepted(entry))
        except (AssertionError, Refused) as error:
            show({"error": f"{entry['type']}: {error}"})


def corpus(folder):
    """Seeds for the fuzzer (Fuzz/LinnetFuzz.swift): a folder for each of its decoders."""
    vectors = json.loads((ROOT / "docs/wire-vectors.json").read_text())
    names = ("Message", "Transaction", "LinkMessage", "Genesis", "JobSpecification", "Certificate", "Evidence", "VoteKey",
             "EpochLink", "SnapshotChunk", "SnapshotEntry", "MerkleSibling", "NodeRecord", "NodeList", "MemberDigest",
             "MemberRequest", "Invite", "GenesisAnswer", "DialBackAnswer", "ConnectRequest")
    seeds = {name: [] for name in (*names, "StoredBlock", "BlockWithoutRoot", "EpochLinkWithoutDigest", "PeerAddressText", "NodeIDText", "InviteText")}
    certificate = next(entry["hex"] for entry in vectors["accepted"] if entry["type"] == "Certificate")
    inner = {"ConsensusMessage": b"\1", "GossipMessage": b"\2", "ServiceMessage": b"\4", "MemberDigest": b"\5",
             "MemberRequest": b"\6"}
    for entry in vectors["accepted"] + vectors["refused"]:
        kind, data = entry["type"], bytes.fromhex(entry["hex"])
        if kind in names:
            seeds[kind].append(data)
        if kind == "Envelope":
            seeds["Message"].append(data)
        if kind == "TransactionAction":
            seeds["Transaction"].append(bytes(10) + data)
        if kind in inner:
            seeds["LinkMessage"].append(inner[kind] + data)
        if kind == "EpochLink":
            seeds["EpochLinkWithoutDigest"].append(data)
        if kind == "Block":
            seeds["BlockWithoutRoot"].append(data)
            seeds["StoredBlock"] += [data + bytes.fromhex(rest) for rest in ("00", "01" + certificate)]
    for entry in vectors["text"]:
        seeds[entry["type"] + "Text"].append(entry["text"].encode())
    rng = random.Random(1)
    for name in ("BlobRequest", "BlobChunks"):
        codec = SERVICE_TYPES[name]
        made = (encode(codec, codec.random(rng)) for _ in range(40))
        seeds[name] = [data for data in made if len(data) < 4096]
    entries = b"\1\xed\1\3bin" + bytes(40) + b"\2\xed\1\3lib" + bytes(40) + b"\3\0\0\4link\3\0bin"
    seeds["DirectoryManifest"] = [bytes(4), b"\3\0\0\0" + entries]
    for name, inputs in seeds.items():
        place = pathlib.Path(folder) / name
        place.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (place / f"{number:04}").write_bytes(data)
        print(name, len(inputs))


def main(arguments):
    command = arguments[0] if arguments else ""
    if command == "check":
        return check(pathlib.Path(arguments[1]) if len(arguments) > 1 else ROOT / "docs/wire-vectors.json")
    if command == "write" and len(arguments) == 2:
        return write(int(arguments[1]))
    if command == "read":
        return read()
    if command == "corpus" and len(arguments) == 2:
        return corpus(arguments[1])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdin.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1:]))
