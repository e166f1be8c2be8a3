#!/usr/bin/python3
"""Plants faults, one at a time, in a copy of the core, and sees that the simulator finds each within the fixed seeds.

No fault is ever in the sources: each is a replacement of text that must occur exactly once in the file that it names,
so that a mutant which no longer fits the code is an error and not a pass. `mutants.py [NAME...]` runs some of them.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAST_SEED = 200
# The pure targets and the simulator: nothing else is needed to build `simulate`.
FOLDERS = ["CSodium", "Sodium", "Primitives", "Wire", "Membership", "Broadcast", "Consensus", "Ledger", "Core",
           "Simulator", "simulate"]

MUTANTS = {
    "quorum-one-too-small": (
        "Wire/ValidatorSet.swift", "public var quorum: Int { members.count - faults }",
        "public var quorum: Int { max(1, members.count - faults - 1) }"),
    "vote-before-its-sync": (
        "Core/NodeCore.swift", "effects.append(.send(.consensus(message), to: peer, after: sequence))",
        "effects.append(.send(.consensus(message), to: peer, after: 0))"),
}


def run(name):
    file, before, after = MUTANTS[name]
    scratch = ROOT / ".build-mutants"
    copy = scratch / "tree"
    if copy.exists():
        # Kept between mutants so that only what differs is built again; every file is laid anew.
        shutil.rmtree(copy / "Sources")
    (copy / "Sources").mkdir(parents=True)
    shutil.copy(ROOT / "Package.swift", copy / "Package.swift")
    for folder in FOLDERS:
        shutil.copytree(ROOT / "Sources" / folder, copy / "Sources" / folder)
    path = copy / "Sources" / file
    text = path.read_text()
    if text.count(before) != 1:
        sys.exit(f"mutant {name}: the text to replace occurs {text.count(before)} times in {file}")
    path.write_text(text.replace(before, after))
    environment = dict(os.environ, LINNET_SCOPE="simulate")
    build = subprocess.run(
        ["swift", "build", "-c", "release", "--package-path", str(copy), "--scratch-path", str(scratch / "build"),
         "--product", "simulate"], env=environment, capture_output=True, text=True)
    if build.returncode != 0:
        sys.exit(f"mutant {name} does not build:\n{build.stdout[-4000:]}{build.stderr[-2000:]}")
    started = time.monotonic()
    found = subprocess.run(
        [str(scratch / "build" / "release" / "simulate"), "1", str(LAST_SEED)], capture_output=True, text=True)
    seconds = time.monotonic() - started
    lines = found.stdout.splitlines()
    if found.returncode == 0:
        return f"{name}: NOT caught within {LAST_SEED} seeds ({seconds:.0f} s)", False
    seeds = [line for line in lines if line.startswith("seed ")]
    reason = next((line for line in lines if line.startswith("invariant ")), f"exit {found.returncode}")
    caught = found.returncode == 1 and reason.startswith("invariant ")
    return f"{name}: {'caught' if caught else 'NOT caught'} at seed {len(seeds)} in {seconds:.1f} s: {reason}", caught


names = sys.argv[1:] or list(MUTANTS)
results = [run(name) for name in names]
for line, _ in results:
    print(line)
caught = sum(ok for _, ok in results)
print(f"mutants: {caught} of {len(results)} caught")
sys.exit(caught != len(results))
