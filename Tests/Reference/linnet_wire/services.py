"""The bodies of services."""
from coding import (
    BOOL, DIGEST, ID, U16, U32, U64, VARINT, Bytes, Choice, Names, Refused, Struct, Text, Varint, blake, value_of,
)

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
