"""Votes, the keys that make them, what proves that they contradict each other, and certificates."""
import nacl.signing

from coding import (
    DIGEST, ID, SIGNATURE, U16, ZERO, Bytes, Names, Refused, Struct, domain, encode, put_varint, some_number,
)


def network_of(rng):
    return getattr(rng, "network", ZERO)


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
