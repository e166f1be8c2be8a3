"""Reading and writing. A codec has read(Reader) -> value, write(bytearray, value) and random(Random) -> value; values
are what JSON holds."""
import hashlib


class Refused(Exception):
    """The bytes are not the encoding of a value."""


def blake(data, size=32):
    return hashlib.blake2b(data, digest_size=size).digest()


def domain(name):
    return b"linnet/1/" + name.encode() + b"\0"


class Reader:
    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, count):
        if count > len(self.data) - self.position:
            raise Refused("truncated")
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift > 0:
                    raise Refused("varint is not minimal")
                if value >= 1 << 64:
                    raise Refused("varint over 64 bits")
                return value
        raise Refused("varint over 10 bytes")


def put_varint(out, value):
    if not 0 <= value < 1 << 64:
        raise Refused(f"{value} is not a varint")
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def some_number(rng, bits=64):
    edges = [0, 1, 127, 128, 255, 256, 16383, 16384, 1 << 32, (1 << bits) - 1]
    value = rng.choice(edges) if rng.random() < 0.4 else rng.getrandbits(rng.randint(1, bits))
    return min(value, (1 << bits) - 1)


class Fixed:
    def __init__(self, size):
        self.size = size

    def read(self, reader):
        return int.from_bytes(reader.take(self.size), "little")

    def write(self, out, value):
        out += value.to_bytes(self.size, "little")

    def random(self, rng):
        return some_number(rng, self.size * 8)


class Varint:
    def __init__(self, least=0, most=(1 << 64) - 1):
        self.least, self.most = least, most

    def read(self, reader):
        value = reader.varint()
        if not self.least <= value <= self.most:
            raise Refused("number out of bounds")
        return value

    def write(self, out, value):
        put_varint(out, value)

    def random(self, rng):
        return max(self.least, min(self.most, some_number(rng)))


class Bool:
    def read(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise Refused("not a bool")
        return byte == 1

    def write(self, out, value):
        out.append(1 if value else 0)

    def random(self, rng):
        return rng.random() < 0.5


class Raw:
    def __init__(self, size):
        self.size = size

    def read(self, reader):
        return reader.take(self.size).hex()

    def write(self, out, value):
        data = bytes.fromhex(value)
        if len(data) != self.size:
            raise Refused("wrong size")
        out += data

    def random(self, rng):
        return rng.randbytes(self.size).hex()


class Bytes:
    def __init__(self, limit):
        self.limit = limit

    def read(self, reader):
        length = reader.varint()
        if length > self.limit:
            raise Refused("too long")
        return reader.take(length).hex()

    def write(self, out, value):
        data = bytes.fromhex(value)
        put_varint(out, len(data))
        out += data

    def random(self, rng):
        return rng.randbytes(rng.randint(0, min(self.limit, 300))).hex()


class Text:
    ALPHABET = "abcXYZ019-_./= \t\n\"\\\x01\x7fäß€漢🐦e\u0301"

    def __init__(self, limit, check=lambda text: True):
        self.limit, self.check = limit, check

    def read(self, reader):
        length = reader.varint()
        if length > self.limit:
            raise Refused("too long")
        data = reader.take(length)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("not UTF-8") from None
        if "\0" in text or not self.check(text):
            raise Refused("text is not allowed")
        return text

    def write(self, out, value):
        data = value.encode()
        put_varint(out, len(data))
        out += data

    def random(self, rng):
        while True:
            text = "".join(rng.choice(self.ALPHABET) for _ in range(rng.randint(0, min(self.limit, 40))))
            while len(text.encode()) > self.limit:
                text = text[:-1]
            if self.check(text):
                return text


class Array:
    def __init__(self, limit, element, key=None, least=0):
        self.limit, self.element, self.key, self.least = limit, element, key, least

    def read(self, reader):
        count = reader.varint()
        if count > self.limit:
            raise Refused("too many")
        values = [self.element.read(reader) for _ in range(count)]
        if count < self.least:
            raise Refused("too few")
        if self.key:
            keys = [self.key(value) for value in values]
            if any(left >= right for left, right in zip(keys, keys[1:])):
                raise Refused("not ascending")
        return values

    def write(self, out, values):
        put_varint(out, len(values))
        for value in values:
            self.element.write(out, value)

    def random(self, rng):
        count = rng.randint(self.least, max(self.least, min(self.limit, rng.choice([0, 1, 2, 5]))))
        values = [self.element.random(rng) for _ in range(count)]
        if self.key:
            values = [value for _, value in sorted({self.key(value): value for value in values}.items())]
        return values


class Optional:
    def __init__(self, element):
        self.element = element

    def read(self, reader):
        return self.element.read(reader) if Bool().read(reader) else None

    def write(self, out, value):
        Bool().write(out, value is not None)
        if value is not None:
            self.element.write(out, value)

    def random(self, rng):
        return self.element.random(rng) if rng.random() < 0.5 else None


class Struct:
    def __init__(self, *fields, check=lambda value: True, shape=lambda value: value):
        self.fields, self.check, self.shape = fields, check, shape

    def read(self, reader):
        value = {name: codec.read(reader) for name, codec in self.fields}
        if not self.check(value):
            raise Refused("fields do not fit")
        return value

    def write(self, out, value):
        for name, codec in self.fields:
            codec.write(out, value[name])

    def random(self, rng):
        return self.shape({name: codec.random(rng) for name, codec in self.fields})


class Names:
    """A u8 that stands for a name."""

    def __init__(self, **names):
        self.names = names
        self.numbers = {number: name for name, number in names.items()}

    def read(self, reader):
        number = reader.take(1)[0]
        if number not in self.numbers:
            raise Refused("unknown tag")
        return self.numbers[number]

    def write(self, out, value):
        out.append(self.names[value])

    def random(self, rng):
        return rng.choice(list(self.names))


class Choice:
    """A u8 tag and the fields of the tag: cases are (tag, name, [(field, codec)...])."""

    def __init__(self, *cases, check=lambda value: True, shape=lambda value: value):
        self.check, self.shape = check, shape
        self.by_tag = {tag: (name, fields) for tag, name, fields in cases}
        self.by_name = {name: (tag, fields) for tag, name, fields in cases}

    def read(self, reader):
        tag = reader.take(1)[0]
        if tag not in self.by_tag:
            raise Refused("unknown tag")
        name, fields = self.by_tag[tag]
        if not fields:
            return name
        value = {"case": name}
        for field, codec in fields:
            value[field] = codec.read(reader)
        if not self.check(value):
            raise Refused("fields do not fit")
        return value

    def write(self, out, value):
        tag, fields = self.by_name[value if isinstance(value, str) else value["case"]]
        out.append(tag)
        for field, codec in fields:
            codec.write(out, value[field])

    def random(self, rng):
        name = rng.choice(list(self.by_name))
        fields = self.by_name[name][1]
        if not fields:
            return name
        return self.shape({"case": name, **{field: codec.random(rng) for field, codec in fields}})


def value_of(codec):
    return [("value", codec)]


U8, U16, U32, U64 = Fixed(1), Fixed(2), Fixed(4), Fixed(8)
VARINT, BOOL, DIGEST, ID, SIGNATURE = Varint(), Bool(), Raw(32), Raw(32), Raw(64)
ZERO = "00" * 32


def by_text(text):
    return text.encode()


def by_field(name):
    return lambda value: value[name].encode() if name in ("key", "name") else bytes.fromhex(value[name])


def encode(codec, value):
    out = bytearray()
    codec.write(out, value)
    return bytes(out)


def decode(codec, data):
    reader = Reader(data)
    value = codec.read(reader)
    if reader.position != len(data):
        raise Refused("trailing bytes")
    return value
