"""Entries out and in, one JSON object a line: what PythonReferenceTests exchanges."""
import json
import random
import sys

import nacl.signing

from blocks import EPOCH_LINK
from catalogue import TYPES
from checks import check_accepted
from coding import ID, Refused, encode
from signatures import extras, signed_holds
from votes import VOTE_KEY, VOTE_SUBJECT


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
