"""Whether entries hold: the golden vectors, and random values of every type."""
import json
import random
import sys

from addresses import ADDRESS, address_bytes
from bech32 import id_bytes, id_text
from catalogue import SERVICE_TYPES, TYPES
from coding import Refused, blake, decode, encode
from invites import invite_bytes, invite_text
from services import blob_root
from signatures import extras, signed_holds


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
