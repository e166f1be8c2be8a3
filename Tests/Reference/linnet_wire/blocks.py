"""Blocks, the links between epochs, snapshots."""
from coding import (
    DIGEST, ID, U64, U8, VARINT, Array, Bytes, Choice, Refused, Struct, Varint, blake, domain, encode, value_of,
)
from messages import Message
from votes import CERTIFICATE, VOTE_SUBJECT


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
