"""What a transaction says: offers, jobs, results, stakes."""
from coding import (
    BOOL, DIGEST, ID, U16, U32, U64, U8, VARINT, Array, Choice, Names, Struct, Text, Varint, by_field, by_text,
    value_of,
)
from votes import EVIDENCE, VOTE_KEY

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
