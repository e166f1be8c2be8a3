#!/usr/bin/python3
"""Keeps the core pure: no input or output, no clock, no randomness, no unordered collection.

A pure target may import pure targets below it and nothing else. The words below never appear in its code
(comments and string literals do not count). `--self-test` plants offences and sees that each is found.
"""
import pathlib
import re
import sys
import tempfile

ALLOWED_IMPORTS = {
    "Primitives": set(),
    "Wire": {"Primitives"},
    "Membership": {"Primitives", "Wire"},
    "Broadcast": {"Primitives", "Wire"},
    "Consensus": {"Primitives", "Wire"},
    "Ledger": {"Primitives", "Wire"},
    "Core": {"Primitives", "Wire", "Membership", "Broadcast", "Consensus", "Ledger"},
}
# The hash is the one function of a library that the core reaches.
EXTRA_IMPORTS = {("Primitives", "Digest.swift"): {"CSodium"}}
FORBIDDEN = [
    (r"\bDate\b", "Date: time is an argument"),
    (r"\bTask\b", "Task: the core starts none"),
    (r"\basync\b", "async: the core waits for nothing"),
    (r"\bawait\b", "await: the core waits for nothing"),
    (r"\bSystemRandomNumberGenerator\b", "randomness that was not given"),
    (r"\.random(Element)?\(|\.shuffled?\(\)", "randomness that was not given"),
    (r"\bContinuousClock\b|\bSuspendingClock\b", "a clock"),
    (r"\bHasher\(\)|\.hashValue\b", "a hash that differs from run to run"),
    (r"\bDictionary\b|\bSet\s*<|\bSet\(", "an unordered collection: use Table or OrderedSet"),
    (r"\[\s*[A-Z][\w.<>?]*\s*:\s*[\[A-Z(]", "a dictionary type: use Table"),
    (r"\[\s*:\s*\]", "a dictionary literal: use Table"),
    (r"\bFloat(16|32|64)?\b|\bDouble\b", "floating point"),
    (r"\bfatalError\b|\btry!|\bprint\(", "not in the core"),
]


def strip(text):
    """Blanks comments and string literals, keeping lines."""
    pattern = re.compile(r'"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def offences(root):
    for target, allowed in ALLOWED_IMPORTS.items():
        folder = root / target
        if not folder.is_dir():
            yield f"{folder}: pure target is missing"
            continue
        for path in sorted(folder.rglob("*.swift")):
            extra = EXTRA_IMPORTS.get((target, path.name), set())
            for number, line in enumerate(strip(path.read_text()).split("\n"), 1):
                found = re.match(r"\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+(?:\w+\s+)?(\w+)", line)
                if found:
                    if found.group(1) not in allowed | extra:
                        yield f"{path}:{number}: import {found.group(1)}"
                    continue
                for pattern, why in FORBIDDEN:
                    if re.search(pattern, line):
                        yield f"{path}:{number}: {why}"


def self_test(root):
    plants = [
        "import Foundation", "@preconcurrency import NIOCore", "import Dispatch", "import Glibc",
        "import struct Foundation.Data", "private import CSodium", "@_implementationOnly import Sodium",
        "let now = Date()", "let t = Task { }", "var s: Set<Int> = []", "var d: [String: Int] = [:]",
        "let x = Int.random(in: 0..<5)", "let r: Double = 1",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        copy = pathlib.Path(temporary)
        for target in ALLOWED_IMPORTS:
            (copy / target).mkdir()
        for target in ALLOWED_IMPORTS:
            for plant in plants:
                file = copy / target / "Planted.swift"
                file.write_text(f"// import Foundation in a comment is no offence\n{plant}\n")
                if not list(offences(copy)):
                    sys.exit(f"purity self-test: not found in {target}: {plant}")
                file.write_text('// import Foundation\nlet text = "import Foundation; Date()"\n')
                if list(offences(copy)):
                    sys.exit(f"purity self-test: false alarm in {target}")
                file.unlink()
    print(f"purity self-test: {len(plants) * len(ALLOWED_IMPORTS)} planted offences found")


root = pathlib.Path(__file__).resolve().parent.parent / "Sources"
if sys.argv[1:] == ["--self-test"]:
    self_test(root)
else:
    found = list(offences(root))
    for line in found:
        print(line, file=sys.stderr)
    if found:
        sys.exit(f"purity: {len(found)} offences in the core")
    print("purity: the core is pure")
