#!/usr/bin/python3
"""The other end of a link, written from docs/link-protocol.md alone: Noise by dissononce, the proof of identity by
PyNaCl, and as much of Yamux and of the frames as it takes.

usage: noise_peer.py initiator PORT NETWORK ID     dials 127.0.0.1:PORT, where node ID must answer
       noise_peer.py responder NETWORK ID          listens, says on which port, and is dialled by node ID

It sends frames on every channel, each of which is to come back with its bytes reversed, pings, goes on to its next key,
follows the other side to its next keys, and closes the link. Says `ok` and how many keys it followed to, or fails.
"""
import os
import socket
import struct
import sys

from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.hash.blake2b import Blake2bHash
from dissononce.processing.handshakepatterns.interactive.XX import XXHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState
from nacl.signing import SigningKey, VerifyKey

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
INITIAL_WINDOW = 262_144
STREAMS = [1, 3, 5, 7]


def statement(network, static_public):
    return b"linnet/1/link-identity\0" + network + static_public


class Link:
    def __init__(self, connection, is_initiator, network, expected_id):
        self.connection = connection
        self.rekeys = 0
        self.plaintext = bytearray()
        self.pongs = []
        self.frames = []
        self.partial = {stream: bytearray() for stream in STREAMS}
        self.windows = {stream: INITIAL_WINDOW for stream in STREAMS}
        self.acknowledged = set()
        self.refused = set()
        self.shake(is_initiator, network, expected_id)

    # The connection

    def read_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            if not part:
                raise EOFError("the connection ended")
            data += part
        return bytes(data)

    def read_message(self):
        return self.read_exactly(struct.unpack(">H", self.read_exactly(2))[0])

    def write_message(self, message):
        self.connection.sendall(struct.pack(">H", len(message)) + message)

    # The handshake

    def shake(self, is_initiator, network, expected_id):
        key = SigningKey.generate()
        own = X25519DH().generate_keypair()
        proof = bytes(key.verify_key) + key.sign(statement(network, own.public.data)).signature
        state = HandshakeState(SymmetricState(CipherState(ChaChaPolyCipher()), Blake2bHash()), X25519DH())
        state.initialize(XXHandshakePattern(), is_initiator, b"linnet/1/noise" + network, s=own)
        messages = [(True, network[:8]), (False, proof), (True, proof)]
        ciphers, payload = None, bytearray()
        for of_initiator, said in messages:
            if of_initiator == is_initiator:
                message = bytearray()
                ciphers = state.write_message(said, message)
                self.write_message(bytes(message))
            else:
                payload = bytearray()
                ciphers = state.read_message(self.read_message(), payload)
                if len(payload) == 8:
                    assert bytes(payload) == network[:8], "another network"
                else:
                    remote = state.rs.data
                    assert bytes(payload[:32]) == expected_id, "another node"
                    VerifyKey(bytes(payload[:32])).verify(statement(network, remote), bytes(payload[32:]))
        self.sending, self.receiving = ciphers if is_initiator else reversed(ciphers)

    # Noise messages

    @staticmethod
    def renew(cipher):
        """REKEY of the Noise specification: dissononce keeps the tag with the key and restarts the nonce."""
        cipher._key = cipher._cipher.rekey(cipher._key)[:32]

    def say(self, plaintext):
        self.write_message(self.sending.encrypt_with_ad(b"", plaintext))

    def rekey(self):
        self.say(b"")
        self.renew(self.sending)

    def hear(self):
        plaintext = self.receiving.decrypt_with_ad(b"", self.read_message())
        if not plaintext:
            self.renew(self.receiving)
            self.rekeys += 1
        self.plaintext += plaintext

    # Yamux

    def send_header(self, kind, flags, stream, length, body=b""):
        self.say(struct.pack(">BBHII", 0, kind, flags, stream, length) + body)

    def take(self):
        """Hears until a whole Yamux frame is there, and acts on it."""
        while len(self.plaintext) < 12:
            self.hear()
        version, kind, flags, stream, length = struct.unpack(">BBHII", self.plaintext[:12])
        assert version == 0
        end = 12 + (length if kind == DATA else 0)
        while len(self.plaintext) < end:
            self.hear()
        body = bytes(self.plaintext[12:end])
        del self.plaintext[:end]
        if kind == PING and flags == SYN:
            self.send_header(PING, ACK, 0, length)
        elif kind == PING:
            self.pongs.append(length)
        elif kind == GO_AWAY:
            raise EOFError(f"the other side closes the link with code {length}")
        elif flags & RST:
            self.refused.add(stream)
        else:
            if flags & (SYN | ACK):
                self.acknowledged.add(stream)
            if kind == WINDOW:
                self.windows[stream] += length
            elif body:
                self.take_data(stream, body)

    def take_data(self, stream, body):
        partial = self.partial[stream]
        partial += body
        self.send_header(WINDOW, 0, stream, len(body))
        while len(partial) >= 4:
            count = struct.unpack(">I", partial[:4])[0]
            if len(partial) < 4 + count:
                return
            self.frames.append((stream, bytes(partial[4:4 + count])))
            del partial[:4 + count]

    # Frames

    def send_frame(self, stream, frame):
        rest = struct.pack(">I", len(frame)) + frame
        while rest:
            while self.windows[stream] == 0:
                self.take()
            part = rest[:min(self.windows[stream], 65_507)]
            self.windows[stream] -= len(part)
            self.send_header(DATA, 0, stream, len(part), part)
            rest = rest[len(part):]

    def expect_echo(self, stream, frame):
        self.send_frame(stream, frame)
        while not self.frames:
            self.take()
        got = self.frames.pop(0)
        assert got == (stream, frame[::-1]), f"another frame on stream {got[0]}, {len(got[1])} bytes"


def converse(link, is_initiator):
    if is_initiator:
        for stream in STREAMS:
            link.send_header(WINDOW, SYN, stream, 0)
    while link.acknowledged != set(STREAMS):
        link.take()
    if not is_initiator:
        for stream in STREAMS:
            link.send_header(WINDOW, ACK, stream, 0)

    link.send_header(PING, SYN, 0, 0xdeadbeef)
    while not link.pongs:
        link.take()
    assert link.pongs == [0xdeadbeef]

    # The longest is longer than any window that is not raised, and than four messages.
    for stream, size in zip(STREAMS, [1, 1_000, 300_000, 70_000]):
        link.expect_echo(stream, os.urandom(size))

    for size in [0, 5, 100_000]:
        link.rekey()
        link.expect_echo(5, os.urandom(size))

    # A stream that is no channel is refused, and nothing else happens.
    other = 9 if is_initiator else 2
    link.send_header(WINDOW, SYN, other, 0)
    while other not in link.refused:
        link.take()
    link.expect_echo(1, b"the last")

    link.send_header(GO_AWAY, 0, 0, 0)
    link.connection.shutdown(socket.SHUT_WR)
    # Nothing but the end follows, once what was under way is through.
    try:
        while True:
            link.take()
    except EOFError as end:
        assert "the connection ended" in str(end), end


def main(mode, *arguments):
    is_initiator = mode == "initiator"
    network, expected_id = (bytes.fromhex(text) for text in arguments[-2:])
    if is_initiator:
        connection = socket.create_connection(("127.0.0.1", int(arguments[0])), timeout=60)
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            connection, _ = listener.accept()
            connection.settimeout(60)
    link = Link(connection, is_initiator, network, expected_id)
    converse(link, is_initiator)
    print("ok", link.rekeys, flush=True)


main(*sys.argv[1:])
