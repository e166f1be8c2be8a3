"""Membership beside serf's, which is memberlist: the same hosts, the same switch, the same profile (lan), in turns."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import lab

# Hosts 1 to 12 are compared. Linnet's chain runs on one more, which is left out of every figure.
HOSTS = 12
SERF_PORT = 7946


class SerfHosts:
    """Agents of serf, one a host. What each believes is read from its log."""

    name = "serf"

    def __init__(self, switch, scratch):
        self.switch = switch
        self.scratch = scratch
        self.processes = {}
        self.logs = {}

    def start(self, number):
        words = ["serf", "agent", f"-node=h{number}", f"-bind={self.switch.addresses[number - 1]}:{SERF_PORT}",
                 "-rpc-addr=127.0.0.1:7373", "-profile=lan", "-log-level=info", "-rejoin"]
        others = [address for address in self.switch.addresses[:2] if address != self.switch.addresses[number - 1]]
        words += [f"-retry-join={address}" for address in others] + ["-retry-interval=1s"]
        path = f"{self.scratch}/serf{number}.log"
        open(path, "w").close()
        self.logs[number] = Log(path)
        with open(path, "a") as log:
            self.processes[number] = subprocess.Popen(
                self.switch.inside(self.switch.namespaces[number - 1], words), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)

    def kill(self, number):
        process = self.processes.pop(number)
        process.kill()
        process.wait()

    def pid(self, number):
        return self.processes[number].pid

    def alive(self, viewer):
        """Whom a host holds for alive, itself left out."""
        log = self.logs[viewer]
        for line in log.read():
            found = re.search(r"serf: EventMember(Join|Failed|Leave|Reap|Update): h(\d+)", line)
            if found and found[1] != "Update":
                (log.alive.add if found[1] == "Join" else log.alive.discard)(int(found[2]))
            log.suspicions += "has failed, no acks received" in line
            log.failures += "EventMemberFailed" in line
        return log.alive - {viewer}

    def suspicions(self):
        """How often anybody suspected and gave up anybody so far."""
        for number in self.processes:
            self.alive(number)
        logs = [self.logs[number] for number in self.processes]
        return sum(log.suspicions for log in logs), sum(log.failures for log in logs)

    def close(self):
        for number in list(self.processes):
            self.kill(number)


class Log:
    """A log as it grows."""

    def __init__(self, path):
        self.file = open(path)
        self.rest = ""
        self.alive = set()
        self.suspicions = 0
        self.failures = 0

    def read(self):
        self.rest += self.file.read()
        *lines, self.rest = self.rest.split("\n")
        return lines


class LinnetHosts:
    """Daemons of Linnet, one a host."""

    name = "linnet"

    def __init__(self, network):
        self.network = network
        self.numbers = {id: number for number, id in enumerate(network.ids, 1)}
        self.seen = {}
        self.failures = 0

    def start(self, number):
        self.network.start(number)

    def kill(self, number):
        self.network.kill(number)

    def pid(self, number):
        return self.network.processes[number].pid

    def alive(self, viewer):
        peers = self.network.ask(viewer, "/v1/peers") or []
        for peer in peers:
            # An episode of being down counts once at each who has it, as serf's EventMemberFailed does.
            key = (viewer, peer["id"])
            before, self.seen[key] = self.seen.get(key), peer["state"]
            self.failures += peer["state"] == "down" and before != "down"
        return {self.numbers[peer["id"]] for peer in peers if peer["state"] in ("alive", "suspect")} & set(
            range(1, HOSTS + 1)) - {viewer}

    def suspicions(self):
        for number in range(1, HOSTS + 1):
            self.alive(number)
        refused = [(self.network.ask(number, "/v1/status") or {}).get("refused", {}) for number in range(1, HOSTS + 1)]
        # Each is a probe that got no answer on any way, after which the prober accuses: what serf's log tells, too.
        return sum(one.get("membership.probeFailed", 0) for one in refused), self.failures

    def close(self):
        pass


def wait(what, holds, seconds):
    """Waits until something holds; the seconds that took."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            sys.exit(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - started


def together(hosts, numbers, seconds=120):
    wanted = set(numbers)
    return wait(f"all of {hosts.name} are alive", lambda: all(
        hosts.alive(n) >= wanted - {n} for n in numbers), seconds)


def sent_bytes(switch):
    """Bytes that each host has sent to the others, by the switch."""
    totals = dict.fromkeys(range(1, HOSTS + 1), 0)
    for path in switch.tell()["paths"]:
        if path["from"] <= HOSTS and path["to"] <= HOSTS:
            totals[path["from"]] += path["traffic"]["offeredBytes"]
    return totals


def measure(hosts, switch, rounds, idle_seconds, loss_seconds):
    """The figures of one of them."""
    numbers = list(range(1, HOSTS + 1))
    together(hosts, numbers)
    # What a node needs to join, it gives back after a minute.
    time.sleep(75)
    figures = {}
    before, started = sent_bytes(switch), time.monotonic()
    time.sleep(idle_seconds)
    after, passed = sent_bytes(switch), time.monotonic() - started
    rates = [(after[n] - before[n]) / passed for n in numbers]
    figures["idle"] = (statistics.median(rates), max(rates))
    for key in ("RssAnon", "VmRSS"):
        figures[key] = statistics.median(lab.memory_mib(hosts.pid(n), key) for n in numbers)
    deaths, joins = [], []
    for turn in range(rounds):
        victim = 3 + turn % (HOSTS - 2)
        others = [n for n in numbers if n != victim]
        hosts.kill(victim)
        deaths.append(wait("the death is known to all", lambda: all(victim not in hosts.alive(n) for n in others), 120))
        hosts.start(victim)
        joins.append(wait("the join is known to all", lambda: all(victim in hosts.alive(n) for n in others), 120))
        together(hosts, numbers)
        time.sleep(1)
    figures["death"], figures["join"] = deaths, joins
    figures["loss"] = {}
    for percent in (5, 20):
        switch.tell("loss", f"{percent}%")
        suspected, failed = hosts.suspicions()
        started = time.monotonic()
        while time.monotonic() - started < loss_seconds:
            # Looked at more often than a suspicion lasts.
            now = hosts.suspicions()
            time.sleep(0.1)
        figures["loss"][percent] = (now[0] - suspected, now[1] - failed)
        switch.tell("clear")
        together(hosts, numbers)
    return figures


def compare(linnet, rounds, idle_seconds, loss_seconds):
    """Both, in turns, and the table."""
    if not shutil.which("serf"):
        sys.exit("there is no serf: apt-get install serf")
    network = lab.Network(linnet, nodes=HOSTS + 1, validators=[HOSTS + 1], delay_ms=0, profile="lan")
    scratch = tempfile.mkdtemp(prefix="lnserf.", dir="/tmp")
    serf = SerfHosts(network.switch, scratch)
    results = {}
    try:
        for number in range(1, HOSTS + 1):
            serf.start(number)
        results["serf"] = measure(serf, network.switch, rounds, idle_seconds, loss_seconds)
        serf.close()
        network.up()
        results["linnet"] = measure(LinnetHosts(network), network.switch, rounds, idle_seconds, loss_seconds)
    finally:
        serf.close()
        network.close()
        shutil.rmtree(scratch, ignore_errors=True)
    version = subprocess.check_output(["serf", "version"], text=True).split("\n")[0]
    print(f"\n{lab.machine()}; {version}; {HOSTS} hosts, profile lan, the same switch; {rounds} kills and joins each, "
          f"idle for {idle_seconds} s, each loss for {loss_seconds} s\n")

    def row(what, figure):
        return (what, figure(results["linnet"]), figure(results["serf"]))

    def seconds(key):
        return lambda one: f"{statistics.median(one[key]):.2f}, {max(one[key]):.2f}"

    def suspected(percent):
        return lambda one: f"{one['loss'][percent][0]}, {one['loss'][percent][1]}"

    lab.table(("", "linnet", "serf"), [
        row(f"killed until known by all, s, median and longest of {rounds}", seconds("death")),
        row(f"started until known by all, s, median and longest of {rounds}", seconds("join")),
        row("at 5 % loss, false suspicions, false deaths", suspected(5)),
        row("at 20 % loss, false suspicions, false deaths", suspected(20)),
        row("bytes sent a second, idle, median and most of the hosts",
            lambda one: f"{one['idle'][0]:.0f}, {one['idle'][1]:.0f}"),
        row("RssAnon, MiB, median", lambda one: f"{one['RssAnon']:.1f}"),
        row("resident, MiB, median", lambda one: f"{one['VmRSS']:.1f}"),
    ])
    print("\nA false suspicion is a probe that failed on every way, upon which its prober suspects a living host; a false "
          "death counts at each host that believes it.")
