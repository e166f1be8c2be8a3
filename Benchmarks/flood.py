"""A validator under a flood of invalid datagrams from many sources: what its chain, its probes and its standing do."""

import hashlib
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import time

import lab

RATE = 50_000
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


def datagrams(mode, receiver, network, count=4_096):
    """Payloads for UDP: noise, or what only a check of the signature finds out."""
    made = []
    key = hashlib.blake2b(b"linnet/1/mac1" + receiver + network, digest_size=32).digest()
    for number in range(count):
        if mode == "garbage":
            made.append(os.urandom(random.choice((17, 150, 300, 1_200))))
            continue
        body = receiver + b"\0" + bytes(8) + b"\4" + bytes(4) + struct.pack("<H", lab.PORT) + b"\0"
        payload = (b"\1\x10" + network[:8] + os.urandom(32) + struct.pack("<Q", time.time_ns() // 1_000 + number)
                   + bytes([len(body)]) + body + os.urandom(64))
        made.append(b"\1" + hashlib.blake2b(payload, digest_size=16, key=key).digest() + payload)
    return made


def attack(target, mode, member, seconds):
    """Sends by raw sockets, so that every packet may come from elsewhere; prints how many. Reads `receiver network` as
    hexadecimal numbers from its input."""
    receiver, network = (bytes.fromhex(word) for word in sys.stdin.readline().split())
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    packets = []
    for payload in datagrams(mode, receiver, network):
        source = member if mode == "spoofed" else f"10.200.{random.randrange(256)}.{random.randrange(1, 255)}"
        udp = struct.pack("!HHHH", lab.PORT if mode == "spoofed" else random.randrange(1024, 65536), lab.PORT,
                          8 + len(payload), 0) + payload
        packets.append(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source),
                                   socket.inet_aton(target)) + udp)
    started = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - started) < seconds:
        due = int(passed * RATE)
        if sent >= due:
            time.sleep(0.0005)
        for _ in range(min(due - sent, 500)):
            try:
                raw.sendto(packets[sent % len(packets)], (target, 0))
            except OSError:
                pass
            sent += 1
    print(int(sent / (time.monotonic() - started)), flush=True)


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


def measure(linnet, seconds):
    """Four validators, of which the fourth is flooded."""
    network = lab.Network(linnet, nodes=4, delay_ms=0, profile="lan")
    rows = []
    try:
        network.up()
        victim = network.switch.namespaces[3]
        # The attacker is in the victim's own namespace, so that the flood costs the switch nothing.
        lab.must("ip", "-n", victim, "route", "add", "local", "10.200.0.0/16", "dev", "lo")
        lab.must(*network.switch.inside(victim, ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0",
                                                 "net.ipv4.conf.lo.rp_filter=0", "net.ipv4.conf.all.accept_local=1",
                                                 "net.ipv4.conf.lo.accept_local=1"]))
        chain = network.ask(1, "/v1/status")["networkId"]
        finality(network, 3)
        for mode in ("garbage", "forged", "spoofed"):
            before = finality(network, seconds)
            words = network.switch.inside(victim, [
                sys.executable, os.path.abspath(__file__), network.addresses[3], mode, network.addresses[0],
                str(seconds + 1)])
            attacker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            attacker.stdin.write(f"{identity(network.ids[3]).hex()} {chain}\n")
            attacker.stdin.flush()
            refused = network.ask(4, "/v1/status")["refused"]
            processor = lab.processor_seconds(network.processes[4].pid)
            time.sleep(0.5)
            during = finality(network, seconds)
            states = {peer["state"] for number in (1, 2, 3) for peer in network.ask(number, "/v1/peers")
                      if peer["id"] == network.ids[3]}
            rate = int(attacker.communicate()[0])
            processor = lab.processor_seconds(network.processes[4].pid) - processor
            after = network.ask(4, "/v1/status")["refused"]
            grown = {key: after[key] - refused.get(key, 0) for key in after if key.startswith("udp.")}
            most = sorted(((count, key) for key, count in grown.items() if count > 0), reverse=True)[:3]
            rows.append((
                mode, f"{rate:,}", f"{statistics.median(before):.0f}, {lab.percentile(before, 99):.0f}",
                f"{statistics.median(during):.0f}, {lab.percentile(during, 99):.0f}", ", ".join(sorted(states)),
                f"{100 * processor / (seconds + 1):.0f} %", ", ".join(f"{key} {count:,}" for count, key in most)))
            time.sleep(3)
    finally:
        network.close()
    print(f"\n{lab.machine()}; 4 validators, profile lan, one of them flooded for {seconds} s at a time\n")
    lab.table(("flood", "datagrams a second", "final before, ms, median and p99", "during", "its state at the others",
               "its processor", "counted most"), rows)


if __name__ == "__main__":
    attack(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
