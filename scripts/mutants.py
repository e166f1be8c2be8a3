#!/usr/bin/python3
"""Plants faults in a copy of the core, one at a time, and sees that the simulator finds each.

  mutants.py [NAME...]    plants all of them, or the named ones; ends with 1 when one is not found
  mutants.py --survey     as above from seed 1 on without the hints, to see how many plain seeds it takes
  mutants.py --table      writes what docs/mutants.md says of each: name, rule, what is planted

The faults are in scripts/planted.py. No fault is ever in the sources: they are laid into a copy, all at once, where
each is chosen at run time by a number in the environment, so that one build serves for all. A replacement whose text
does not occur exactly once is an error and not a pass. When all were tried, every seed that found one is run again
with nothing planted: it must pass, or it was not the fault that was found.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from planted import FAULTS

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".build-mutants"
TREE = SCRATCH / "tree"
BINARY = SCRATCH / "build" / "release" / "simulate"
# The pure targets and the simulator: nothing else is needed to build `simulate`.
FOLDERS = ["CSodium", "Sodium", "Primitives", "Wire", "Membership", "Broadcast", "Consensus", "Ledger", "Core",
           "Simulator", "simulate"]
VARIABLE = "LINNET_PLANTED"
NUMBERS = {fault.name: number for number, fault in enumerate(FAULTS, 1)}
SURVEY_SEEDS = 200
# Longer than any seed takes: a run that hangs has found nothing.
SEED_SECONDS = 120

SWITCH = f"""import Glibc

private let plantedNumber = getenv("{VARIABLE}").map {{ atoi($0) }} ?? 0

/// True when the environment has chosen this fault.
public func isPlanted(_ number: Int32) -> Bool {{ plantedNumber == number }}
"""


def planted_texts():
    """The text of every file of the copy."""
    texts = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / "Sources" / folder).rglob("*")):
            if path.is_file():
                texts[str(path.relative_to(ROOT / "Sources"))] = path.read_text()
    errors, places = [], {}
    for number, fault in enumerate(FAULTS, 1):
        for file, before, after in fault.edits:
            count = texts.get(file, "").count(before)
            if count != 1:
                errors.append(f"{fault.name}: the text to replace occurs {count} times in {file}:\n{before}")
                continue
            start = texts[file].index(before)
            after = re.sub(r"PLANTED\[([a-z-]+)\]", lambda match: f"isPlanted({NUMBERS[match[1]]})", after)
            after = after.replace("PLANTED", f"isPlanted({number})")
            places.setdefault(file, []).append((start, start + len(before), after, fault.name))
    for file, edits in places.items():
        edits.sort()
        for left, right in zip(edits, edits[1:]):
            if right[0] < left[1]:
                errors.append(f"{left[3]} and {right[3]} replace the same text in {file}")
        text = texts[file]
        for start, end, after, _ in reversed(edits):
            text = text[:start] + after + text[end:]
        texts[file] = text
    if errors:
        sys.exit("mutants: planted faults that do not fit the sources:\n" + "\n".join(errors))
    texts["Primitives/Planted.swift"] = SWITCH
    return texts


def lay_out(texts):
    """Writes the copy; files that are as they were keep their time, so that only what differs is built again."""
    sources = TREE / "Sources"
    sources.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "Package.swift", TREE / "Package.swift")
    for path in sorted(sources.rglob("*")):
        if path.is_file() and str(path.relative_to(sources)) not in texts:
            path.unlink()
    for name, text in texts.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def build():
    build = subprocess.run(
        ["swift", "build", "-c", "release", "--package-path", str(TREE), "--scratch-path", str(SCRATCH / "build"),
         "--product", "simulate"], env=dict(os.environ, LINNET_SCOPE="simulate"), capture_output=True, text=True)
    if build.returncode != 0:
        sys.exit(f"mutants: the copy does not build:\n{build.stdout[-6000:]}{build.stderr[-2000:]}")


def simulate(number, seed, options):
    """What one seed finds: None, or the first violation."""
    environment = {**os.environ, VARIABLE: str(number), "SWIFT_BACKTRACE": "enable=no"}
    command = [str(BINARY), str(seed), str(seed), *options]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SEED_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode == 0:
        return None
    for line in done.stdout.splitlines():
        if re.match(r"\s*invariant ", line):
            return line.strip()
    # A trap inside a simulated node is as much an end as a violation.
    if done.returncode < 0:
        return f"trap: {(done.stderr.strip().splitlines() or ['?'])[0][:160]}"
    sys.exit(f"mutants: {' '.join(command)} ends with {done.returncode}:\n{done.stdout[-800:]}{done.stderr[-800:]}")


class Outcome:
    def __init__(self, number, fault, is_survey):
        self.fault, self.found, self.tried, started = fault, None, 0, time.monotonic()
        for seed in range(1, SURVEY_SEEDS + 1) if is_survey else fault.seeds():
            self.tried += 1
            self.found, self.seed = simulate(number, seed, fault.options), seed
            if self.found:
                break
        self.seconds = time.monotonic() - started

    @property
    def line(self):
        if not self.found:
            return f"{self.fault.name}: NOT caught in {self.tried} seeds ({self.seconds:.0f} s)"
        seeds = "1 seed" if self.tried == 1 else f"{self.tried} seeds"
        return f"{self.fault.name}: caught after {seeds} (seed {self.seed}, {self.seconds:.1f} s): {self.found}"


def main(arguments):
    names = [word for word in arguments if not word.startswith("-")]
    if "--table" in arguments:
        for fault in FAULTS:
            print(f"| `{fault.name}` | {fault.rule} | {fault.what} |")
        return 0
    unknown = set(names) - {fault.name for fault in FAULTS}
    if unknown:
        sys.exit(f"mutants: there is no {', '.join(sorted(unknown))}")
    started = time.monotonic()
    lay_out(planted_texts())
    build()
    print(f"mutants: one build with {len(FAULTS)} planted faults in {time.monotonic() - started:.0f} s", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        chosen = [(number, fault) for number, fault in enumerate(FAULTS, 1) if not names or fault.name in names]
        # The slow ones first, so that no core waits for the last of them.
        chosen.sort(key=lambda pair: -pair[1].cost)
        is_survey = "--survey" in arguments
        futures = [pool.submit(Outcome, number, fault, is_survey) for number, fault in chosen]
        outcomes = []
        for future in concurrent.futures.as_completed(futures):
            outcomes.append(future.result())
            print(outcomes[-1].line, flush=True)
        runs = sorted({(outcome.fault.options, outcome.seed) for outcome in outcomes if outcome.found})
        sound = list(pool.map(lambda run: simulate(0, run[1], run[0]), runs))
    failures = [f"seed {seed} {' '.join(options)}: {found}" for (options, seed), found in zip(runs, sound) if found]
    for failure in failures:
        print(f"with nothing planted, {failure}")
    print(f"mutants: with nothing planted, {len(runs) - len(failures)} of {len(runs)} of the seeds that found one pass")
    caught = sum(outcome.found is not None for outcome in outcomes)
    print(f"mutants: {caught} of {len(outcomes)} caught in {time.monotonic() - started:.0f} s")
    return 1 if failures or caught < len(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
