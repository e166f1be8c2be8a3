"""Linnet's wire format, written from docs/wire-format.md: a second implementation to test the first against.

  Tests/Reference/linnet_wire check [FILE]   checks the golden vectors (default docs/wire-vectors.json) and prints how many
  Tests/Reference/linnet_wire write SEED     writes random entries, one JSON object a line
  Tests/Reference/linnet_wire read           reads entries from standard input, checks each, and answers with its fields
  Tests/Reference/linnet_wire corpus DIR     writes the fuzzer's seeds, a folder for each decoder

Needs PyNaCl (Debian: python3-nacl).
"""
import json
import pathlib
import sys

from checks import check
from corpus import corpus
from exchange import read, write

VECTORS = pathlib.Path(__file__).resolve().parents[3] / "docs/wire-vectors.json"


def main(arguments):
    command = arguments[0] if arguments else ""
    if command == "check":
        return check(pathlib.Path(arguments[1]) if len(arguments) > 1 else VECTORS)
    if command == "write" and len(arguments) == 2:
        return write(int(arguments[1]))
    if command == "read":
        return read()
    if command == "corpus" and len(arguments) == 2:
        return corpus(json.loads(VECTORS.read_text()), pathlib.Path(arguments[1]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdin.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1:]))
