"""Invites."""
from addresses import ADDRESS
from bech32 import bech32_bytes, bech32_text
from coding import DIGEST, ID, Array, Optional, Refused, Struct, decode, encode


class Invite(Struct):
    LONGEST_TEXT = 295

    def __init__(self):
        super().__init__(
            ("networkID", DIGEST), ("node", ID), ("addresses", Array(4, ADDRESS, least=1)), ("grant", Optional(DIGEST)))

    def read(self, reader):
        if reader.take(1) != b"\x01":
            raise Refused("version")
        return super().read(reader)

    def write(self, out, value):
        out.append(1)
        super().write(out, value)


INVITE = Invite()


def invite_text(data):
    return bech32_text(data, "lninvite")


def invite_bytes(text):
    """The bytes of an invite's text; None for what is refused."""
    data = bech32_bytes(text, "lninvite", Invite.LONGEST_TEXT)
    try:
        return None if data is None else encode(INVITE, decode(INVITE, data))
    except Refused:
        return None
