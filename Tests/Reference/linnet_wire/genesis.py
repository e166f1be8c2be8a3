"""The genesis file."""
from coding import ID, U64, VARINT, Array, Struct, Text, Varint, by_field

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
