"""A validator under a flood of invalid datagrams from many sources: what its chain, its probes and its standing do."""

import concurrent.futures
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time

import lab

RATE = 50_000
# From what is refused at a glance to what costs a signature check, unless something is under load.
KINDS = {
    "noise": "random bytes of many lengths, two thirds of them behind a type that exists",
    "other network": "well-formed, of another network",
    "forged": "good MAC, bad signature, by other members, from everywhere",
    "forged, one source": "the same, all from a member's address",
    "replayed": "what members sent it before, from everywhere",
}
# Bech32m (BIP-350).
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def identity(text):
    """The 32 bytes of a node's id, whose checksum the daemon has checked."""
    bits = value = 0
    found = bytearray()
    for letter in text[text.rindex("1") + 1:-6]:
        value, bits = value << 5 | ALPHABET.index(letter), bits + 5
        if bits >= 8:
            bits -= 8
            found.append(value >> bits & 255)
    return bytes(found)


def forged(receiver, network, authors, count=8_192):
    """Pings that only a check of the signature refuses. Their authors exist and their signatures are canonical, or the
    check would end before it has cost anything."""
    key = hashlib.blake2b(b"linnet/1/mac1" + receiver + network, digest_size=32).digest()
    for number in range(count):
        body = receiver + bytes(9) + b"\4" + bytes(4) + struct.pack("<H", lab.PORT) + b"\0"
        signature = os.urandom(63) + bytes([random.randrange(16)])
        payload = (b"\1\x10" + network[:8] + random.choice(authors) + struct.pack("<Q", time.time_ns() // 1_000 + number)
                   + bytes([len(body)]) + body + signature)
        yield b"\1" + hashlib.blake2b(payload, digest_size=16, key=key).digest() + payload


# Prints what comes to a port by a device for so many seconds, in hexadecimal numbers, a datagram a line.
LISTENER = """
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
s.bind((sys.argv[1], 0x0800))
s.settimeout(0.1)
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    try: data, way = s.recvfrom(2000)
    except OSError: continue
    head = 4 * (data[0] & 15)
    if way[2] != 4 and data[9] == 17 and data[head + 2:head + 4] == struct.pack('!H', int(sys.argv[2])):
        print(data[head + 8:].hex())
"""


def heard(network, namespace, device, seconds):
    """The datagrams that members sent to a node within some seconds."""
    shown = lab.must(*network.switch.inside(
        namespace, [sys.executable, "-c", LISTENER, device, str(lab.PORT), str(seconds)]))
    return [bytes.fromhex(line) for line in shown.split()]


class Watch:
    """What the others say of a node while something goes on: their pings of it, and how they hold it."""

    def __init__(self, network, victim, seconds):
        self.others = [number for number in range(1, network.count + 1) if number != victim]
        self.seconds = seconds
        self.pool = concurrent.futures.ThreadPoolExecutor()
        self.pings = [self.pool.submit(self.ping, network, number, network.ids[victim - 1]) for number in self.others]
        self.states = [self.pool.submit(self.state, network, number, network.ids[victim - 1]) for number in self.others]

    def ping(self, network, number, target):
        """Milliseconds of pings over UDP, two a second; None for one without an answer."""
        connection = lab.UnixConnection(network.file(number, "control.sock"))
        connection.request("POST", f"/v1/peers/{target}/ping", json.dumps(
            {"count": max(1, int(2 * self.seconds) - 2), "intervalMilliseconds": 500}), {"Content-Type": "application/json"})
        lines = [json.loads(line) for line in connection.getresponse().read().splitlines() if line.strip()]
        return [line["rttMicroseconds"] / 1_000 if "rttMicroseconds" in line else None
                for line in lines if line["path"] == "udp"]

    def state(self, network, number, target):
        """How a node held it, ten times a second."""
        connection = lab.UnixConnection(network.file(number, "control.sock"))
        ends = time.monotonic() + self.seconds
        seen = []
        while time.monotonic() < ends:
            seen += [peer["state"] for peer in connection.ask("GET", "/v1/peers") if peer["id"] == target] or ["unknown"]
            time.sleep(0.1)
        return seen

    def result(self):
        """"answered of asked, median and most in ms", and the states with how often each was seen."""
        pings = [milliseconds for answer in self.pings for milliseconds in answer.result()]
        answered = [milliseconds for milliseconds in pings if milliseconds is not None]
        states = [state for answer in self.states for state in answer.result()]
        times = f", {lab.median(answered):.1f}, {max(answered):.0f}" if answered else ""
        counts = {state: states.count(state) for state in sorted(set(states))}
        return (f"{len(answered)} of {len(pings)}{times}",
                ", ".join(state if len(counts) == 1 else f"{state} {count}" for state, count in counts.items()))


def finality(network, seconds):
    """Milliseconds of transfers at the nodes in turn, one after the other."""
    times = []
    started = time.monotonic()
    connections = {}
    while time.monotonic() - started < seconds:
        number = 1 + len(times) % network.count
        if number not in connections:
            connections[number] = lab.UnixConnection(network.file(number, "control.sock"))
        before = time.monotonic()
        connections[number].ask(
            "POST", "/v1/transfers", {"to": network.ids[number % network.count], "amountMicrocredits": 1})
        times.append((time.monotonic() - before) * 1_000)
    return times


def counters(network, number, namespace):
    """What a node counted of its datagrams, and what the kernel dropped before it read them."""
    found = {key: count for key, count in network.ask(number, "/v1/network")["counters"].items()
             if key.startswith("udp.datagram.")}
    lines = [line.split() for line in lab.must(*network.switch.inside(
        namespace, ["cat", "/proc/net/snmp"])).splitlines() if line.startswith("Udp:")]
    found["dropped by the kernel, buffer full"] = int(dict(zip(*lines))["RcvbufErrors"])
    return found


def build():
    """The generator, compiled beside the other programs of Benchmarks."""
    made = f"{lab.REPOSITORY}/.build-bench/bench-flood"
    os.makedirs(os.path.dirname(made), exist_ok=True)
    lab.must("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", made, f"{lab.REPOSITORY}/Benchmarks/bench-flood/flood.c")
    return made


def payloads(kind, network, victim, chain, recorded):
    """What a flood consists of."""
    ids = [identity(text) for text in network.ids]
    receiver, authors = ids[victim - 1], [each for number, each in enumerate(ids, 1) if number != victim]
    if kind == "noise":
        return [(b"", b"\1", b"\2")[number % 3] + os.urandom(random.choice((1, 17, 49, 150, 300, 1_199)))
                for number in range(8_192)]
    if kind == "other network":
        return list(forged(receiver, bytes(32), authors))
    if kind == "replayed":
        return recorded
    return list(forged(receiver, chain, authors))


def measure(linnet, seconds):
    """Four validators, of which the fourth is flooded."""
    generator = build()
    victim = 4
    network = lab.Network(linnet, nodes=4, delay_ms=0, profile="lan")
    rows, reasons = [], []
    try:
        network.up()
        namespace = network.switch.namespaces[victim - 1]
        # The generator is in the victim's own namespace, so that the flood costs the switch nothing and can't leave it.
        lab.must("ip", "-n", namespace, "route", "add", "local", "10.200.0.0/16", "dev", "lo")
        lab.must(*network.switch.inside(namespace, ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0",
                                                    "net.ipv4.conf.lo.rp_filter=0", "net.ipv4.conf.all.accept_local=1",
                                                    "net.ipv4.conf.lo.accept_local=1"]))
        chain = bytes.fromhex(network.ask(1, "/v1/status")["networkId"])
        recorded = heard(network, namespace, f"{network.switch.tag}t{victim}", 5)
        if not recorded:
            sys.exit("nobody sent the node a datagram in 5 s")
        finality(network, 3)
        for kind in KINDS:
            processor = lab.processor_seconds(network.processes[victim].pid)
            watch = Watch(network, victim, seconds)
            before = finality(network, seconds)
            pings_before, _ = watch.result()
            idle = lab.processor_seconds(network.processes[victim].pid) - processor
            path = f"{network.scratch}/payloads"
            with open(path, "wb") as file:
                for payload in payloads(kind, network, victim, chain, recorded):
                    file.write(struct.pack("<H", len(payload)) + payload)
            words = [generator, path, network.addresses[victim - 1], str(lab.PORT), str(RATE), str(seconds + 1)]
            if kind == "forged, one source":
                words.append(f"{network.addresses[0]}:{lab.PORT}")
            counted = counters(network, victim, namespace)
            attacker = subprocess.Popen(network.switch.inside(namespace, words), stdout=subprocess.PIPE, text=True)
            time.sleep(0.5)
            processor = lab.processor_seconds(network.processes[victim].pid)
            flood_began = time.monotonic()
            watch = Watch(network, victim, seconds)
            during = finality(network, seconds)
            pings, states = watch.result()
            processor = ((lab.processor_seconds(network.processes[victim].pid) - processor)
                         / (time.monotonic() - flood_began))
            *each_second, total = attacker.communicate()[0].splitlines()
            sent = int(total.split()[1])
            grown = {key: count - counted.get(key, 0) for key, count in counters(network, victim, namespace).items()}
            rows.append((
                kind, f"{sent / (seconds + 1):,.0f}, {min(map(int, each_second)):,}",
                f"{lab.median(before):.0f}, {max(before):.0f}", f"{lab.median(during):.0f}, {max(during):.0f}",
                pings_before, pings, states, f"{100 * idle / seconds:.0f}, {100 * processor:.0f}"))
            reasons.append((f"{kind}: {KINDS[kind]}", f"{sent:,}", ", ".join(
                f"{key.removeprefix('udp.datagram.')} {count:,}" for count, key in sorted(
                    ((count, key) for key, count in grown.items()), reverse=True)
                if count * 1_000 >= sent)))
            time.sleep(3)
    finally:
        network.close()
    print(f"\n{lab.machine()}; 4 validators, profile lan, one of them flooded for {seconds} s at a time, {RATE:,} datagrams a"
          f" second asked for. The generator, the nodes and the switch share the {len(os.sched_getaffinity(0))} threads.\n")
    lab.table(("flood", "datagrams a second: mean, least", "final before, ms: median, most", "during",
               "pings before: answered, median ms, most", "during", "how the others held it, during",
               "its processor before, during, %"), rows)
    print()
    lab.table(("flood", "datagrams", "what became of them (from a thousandth on)"), reasons)
