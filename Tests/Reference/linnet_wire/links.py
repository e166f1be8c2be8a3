"""What goes over links."""
import json
import random

from blocks import BLOCK, EPOCH_LINK, SNAPSHOT_CHUNK
from coding import (
    BOOL, DIGEST, U16, U8, VARINT, Array, Bytes, Choice, Names, Raw, Refused, Struct, Varint, blake, domain,
    value_of,
)
from messages import ENVELOPE, RECORD_KINDS, Envelope
from votes import CERTIFICATE, VOTE, VOTE_SUBJECT


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
