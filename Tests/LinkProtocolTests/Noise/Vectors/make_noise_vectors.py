#!/usr/bin/env python3
"""Writes noise.json: handshakes and transport messages made by an independent implementation.

Needs `pip install dissononce==0.34.3 PyNaCl`. Keys are fixed, so the output is the same on every run. The payloads of
the handshake (network prefix, proofs of identity) are made here with PyNaCl, by the rules that open
Sources/LinkProtocol/Noise/NoiseHandshake.swift.
"""
import hashlib
import json
import os

from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.keypair import KeyPair
from dissononce.dh.x25519.x25519 import PrivateKey, X25519DH
from dissononce.hash.blake2b import Blake2bHash
from dissononce.processing.handshakepatterns.interactive.XX import XXHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState
from nacl.signing import SigningKey


def fixed(label):
    return hashlib.sha256(b"linnet test vector " + label.encode()).digest()


class FixedX25519(X25519DH):
    """Gives the same ephemeral key every time."""

    def __init__(self, secret):
        super().__init__()
        self._secret = secret

    def generate_keypair(self, privatekey=None):
        return super().generate_keypair(privatekey or PrivateKey(self._secret))


def state(ephemeral):
    dh = FixedX25519(ephemeral)
    return HandshakeState(SymmetricState(CipherState(ChaChaPolyCipher()), Blake2bHash()), dh)


def proof(seed, network, static_public):
    key = SigningKey(seed)
    statement = b"linnet/1/link-identity\0" + network + static_public
    return bytes(key.verify_key) + key.sign(statement).signature


def rekey(cipher):
    """REKEY of the Noise specification: dissononce keeps the tag with the key and restarts the nonce."""
    cipher._key = cipher._cipher.rekey(cipher._key)[:32]


def vector(name):
    network = fixed(name + " network")
    sides = {}
    for side in ("initiator", "responder"):
        secrets = {k: fixed(f"{name} {side} {k}") for k in ("seed", "static", "ephemeral")}
        pair = X25519DH().generate_keypair(PrivateKey(secrets["static"]))
        sides[side] = (secrets, pair)
    prologue = b"linnet/1/noise" + network
    (i_secrets, i_pair), (r_secrets, r_pair) = sides["initiator"], sides["responder"]
    initiator, responder = state(i_secrets["ephemeral"]), state(r_secrets["ephemeral"])
    initiator.initialize(XXHandshakePattern(), True, prologue, s=i_pair)
    responder.initialize(XXHandshakePattern(), False, prologue, s=r_pair)

    first, second, third = bytearray(), bytearray(), bytearray()
    initiator.write_message(network[:8], first)
    got = bytearray()
    responder.read_message(bytes(first), got)
    assert bytes(got) == network[:8]
    responder.write_message(proof(r_secrets["seed"], network, r_pair.public.data), second)
    initiator.read_message(bytes(second), bytearray())
    i_ciphers = initiator.write_message(proof(i_secrets["seed"], network, i_pair.public.data), third)
    r_ciphers = responder.read_message(bytes(third), bytearray())
    messages = [bytes(m).hex() for m in (first, second, third)]

    transport = []
    plaintexts = [b"", b"vote", bytes(range(256)), b"after the rekey", b"last"]
    for index, plaintext in enumerate(plaintexts):
        if index == 3:
            for cipher in (*i_ciphers, *r_ciphers):
                rekey(cipher)
        one = i_ciphers[0].encrypt_with_ad(b"", plaintext)
        two = r_ciphers[1].encrypt_with_ad(b"", plaintext)
        assert r_ciphers[0].decrypt_with_ad(b"", one) == plaintext
        assert i_ciphers[1].decrypt_with_ad(b"", two) == plaintext
        transport.append({
            "plaintext": plaintext.hex(), "rekeyBefore": index == 3,
            "fromInitiator": one.hex(), "fromResponder": two.hex(),
        })

    def described(secrets):
        return {k: v.hex() for k, v in secrets.items()} | {"id": bytes(SigningKey(secrets["seed"]).verify_key).hex()}

    return {
        "name": name, "network": network.hex(), "initiator": described(i_secrets), "responder": described(r_secrets),
        "messages": messages, "hash": initiator.symmetricstate.get_handshake_hash().hex(), "transport": transport,
    }


if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "noise.json")
    with open(path, "w") as file:
        json.dump([vector("one"), vector("two")], file, indent=1)
        file.write("\n")
