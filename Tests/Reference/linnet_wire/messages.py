"""Envelopes, the bodies that they carry, and what each kind of them holds."""
import nacl.signing

from addresses import ADDRESS
from coding import (
    DIGEST, ID, SIGNATURE, U64, U8, VARINT, Array, Bytes, Names, Refused, Struct, Text, blake, by_field, decode,
    domain, encode, some_number,
)
from transactions import TRANSACTION
from votes import VOTE_KEY, network_of

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
