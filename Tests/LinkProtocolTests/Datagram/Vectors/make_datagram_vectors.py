#!/usr/bin/env python3
"""Writes datagrams.json: one datagram of each type, made with Python's own BLAKE2b.

By what docs/link-protocol.md says, not by what the Swift code does. Keys are fixed, so the output is the same on every run.
"""
import hashlib
import json
import os


def blake2b(message, size, key=b""):
    return hashlib.blake2b(message, digest_size=size, key=key).digest()


def fixed(label):
    return hashlib.sha256(b"linnet datagram vector " + label.encode()).digest()


NETWORK = fixed("network")
ONE, TWO = fixed("one"), fixed("two")
SECRET = fixed("secret")
# Where the datagrams come from, as the receiver sees it.
IPV4, IPV6, PORT = bytes([192, 0, 2, 7]), bytes.fromhex("20010db8000000000000000000000007"), 7447


def mac1_key(receiver):
    return blake2b(b"linnet/1/mac1" + receiver + NETWORK, 32)


def envelope(kind, author, body):
    assert len(body) < 128
    head = bytes([1, kind]) + NETWORK[:8] + author + (1_700_000_000_000_000).to_bytes(8, "little")
    return head + bytes([len(body)]) + body + fixed("signature") * 2


def cookie(ip, secret_number):
    secret = blake2b(b"linnet/1/cookie" + secret_number.to_bytes(8, "little"), 32, SECRET)
    return blake2b(ip + PORT.to_bytes(2, "big"), 16, secret)


# To node two, from node one.
probe = envelope(16, ONE, TWO + bytes([5, 6, 0]))
mac1 = blake2b(probe, 16, mac1_key(TWO))


def with_cookie(ip, secret_number):
    head = b"\x02" + mac1
    return head + blake2b(head, 16, cookie(ip, secret_number)) + probe


def cookie_reply(ip):
    body = mac1 + cookie(ip, 0)
    return b"\x03" + blake2b(body, 16, mac1_key(ONE)) + body


record = envelope(1, ONE, bytes(range(40)))
beacon = b"\x04" + blake2b(record, 16, blake2b(b"linnet/1/lan-beacon" + NETWORK, 32)) + record

vectors = {
    "network": NETWORK, "one": ONE, "two": TWO, "secret": SECRET,
    "probe": probe, "record": record,
    "plain": b"\x01" + mac1 + probe,
    "withCookieIPv4": with_cookie(IPV4, 0),
    "withCookieIPv6": with_cookie(IPV6, 0),
    "withLaterCookie": with_cookie(IPV4, 1),
    "cookieReplyIPv4": cookie_reply(IPV4),
    "cookieReplyIPv6": cookie_reply(IPV6),
    "beacon": beacon,
}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "datagrams.json")
with open(path, "w") as file:
    json.dump({name: value.hex() for name, value in vectors.items()}, file, indent=2)
    file.write("\n")
