"""The fuzzer's seeds."""
import random

from catalogue import SERVICE_TYPES
from coding import encode


def corpus(vectors, folder):
    """Seeds for the fuzzer (Fuzz/LinnetFuzz.swift): a folder for each of its decoders."""
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
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (place / f"{number:04}").write_bytes(data)
        print(name, len(inputs))
