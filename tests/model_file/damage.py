"""Generators of damaged files, each with a description of the damage."""

import copy
import json

from tests.model_file.files import apart, sealed, together, with_text

ABSURD = (
    None,
    -1,
    10**9,
    10**30,
    1e308,
    float("nan"),
    "",
    "x" * 10_000,
    [],
    {},
    [[]] * 1000,
    True,
    "3",
    [-1],
    ["x" * 1000] * 5,
)
DEEP = "[" * 100_000


def cuts(blob, rng):
    header = 8 + int.from_bytes(blob[:8], "little")
    places = [0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(blob) - 1]
    places += rng.integers(10, len(blob) - 1, 5).tolist()
    for place in places:
        yield f"cut at {place}", blob[:place]
    yield "one byte more", blob + b"\0"
    yield "twice", blob + blob
    yield "without its first byte", blob[1:]


def flips(blob, rng):
    header = 8 + int.from_bytes(blob[:8], "little")
    places = [*range(8), *rng.integers(8, header, 20), *rng.integers(header, len(blob), 5)]
    for place in places:
        bit = 1 << int(rng.integers(8))
        yield f"bit {bit} of byte {place}", flipped(blob, [(place, bit)])
    for count in (2, 5, 50):
        where = rng.integers(8, len(blob), count)
        yield (
            f"{count} bytes",
            flipped(blob, [(place, int(rng.integers(1, 256))) for place in where]),
        )
    yield "the padding", flipped(blob, [(header - 1, 0x20 ^ 0x0A)])
    yield "tensors of zeros", blob[:header] + bytes(len(blob) - header)
    yield "tensors of ones", blob[:header] + b"\xff" * (len(blob) - header)


def flipped(blob, changes):
    spoilt = bytearray(blob)
    for place, bits in changes:
        spoilt[place] ^= bits
    return bytes(spoilt)


def fields(blob, rng, share=1.0):
    """Replace each field of the header by absurd values, or delete it; most get a new checksum."""
    text = json.loads(apart(blob)[0])["__metadata__"]["unspool"]
    header = json.loads(text)
    crc = header.pop("crc32")
    for way in ways(header):
        place = ".".join(map(str, way))
        for value in (*ABSURD, ...):
            if rng.uniform() >= share:
                continue
            spoilt = put(header, way, value)
            if json.dumps(spoilt) == json.dumps(header):
                continue
            description = f"{place} = {str(value)[:30]}"
            yield description, sealed(blob, json.dumps(spoilt)[:-1])
            if rng.uniform() < 0.1:
                old = json.dumps({**spoilt, "crc32": crc})
                yield f"{description}, old checksum", with_text(blob, old)


def ways(value, so_far=()):
    """The paths to every value within `value`, leaves and containers."""
    if so_far:
        yield so_far
    inside = ()
    if isinstance(value, (dict, list)):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
    for name, within in inside:
        yield from ways(within, (*so_far, name))


def put(header, way, value):
    spoilt = copy.deepcopy(header)
    place = spoilt
    for name in way[:-1]:
        place = place[name]
    if value is ...:
        del place[way[-1]]
    else:
        place[way[-1]] = value
    return spoilt


def texts(blob, _):
    """Replace the header by text that is not JSON, or by unusual JSON, with a valid checksum."""
    text = json.loads(apart(blob)[0])["__metadata__"]["unspool"]
    body = text[: text.rindex(', "crc32"')]
    yield "deep", with_text(blob, DEEP)
    yield "deep inside", sealed(blob, f'{body}, "more": {DEEP}{DEEP.replace("[", "]")}')
    for depth in (200, 900, 5000):
        nested = "[" * depth + "]" * depth
        description = f"fields {depth} deep"
        yield description, sealed(blob, body.replace('"window": ', f'"window": {nested}, "w": '))
        yield description, sealed(blob, body.replace('"epochs": ', f'"epochs": {nested}, "e": '))
        layers = '{"layers": [' * depth + "]}" * depth
        yield description, sealed(blob, body.replace('"history": ', f'"history": {layers}, "h": '))
    yield "a field twice", sealed(blob, body + ', "model": "LSTMAutoencoder"')
    yield "a parameter twice", sealed(blob, body.replace('"epochs":', '"epochs": 2, "epochs":'))
    yield "many digits", sealed(blob, body.replace('"epochs": ', f'"epochs": {"9" * 5000}'))
    yield "too many digits", sealed(blob, body.replace('"epochs": ', f'"epochs": {"9" * 4000}'))
    yield "infinity", sealed(blob, body.replace('"epochs": ', '"epochs": 1e999, "e": '))
    yield "minus infinity", sealed(blob, body.replace('"epochs": ', '"epochs": -Infinity, "e": '))
    yield "half a pair", sealed(blob, body.replace('"epochs"', '"\\ud800"'))
    yield "a zero", sealed(blob, body.replace('"epochs"', '"\\u0000"'))
    yield "a comma more", sealed(blob, body + ",")
    yield "no checksum", with_text(blob, body + "}")
    yield "an empty checksum", with_text(blob, body + ', "crc32": ""}')
    yield "the checksum first", with_text(blob, '{"crc32": "00000000", ' + body[1:] + "}")
    yield "no text", with_text(blob, "")
    yield "text", with_text(blob, "\u2028\u202e\x07 text")


def containers(blob, _):
    """Change the header of safetensors, so that it contradicts the data."""
    own, data = apart(blob)
    entries = json.loads(own)
    names = sorted(name for name in entries if name != "__metadata__")
    entry = entries[names[0]]
    start, stop = entry["data_offsets"]
    changes = {
        "a huge shape": {"shape": [10**9]},
        "a shape that overflows": {"shape": [2**62, 2**62]},
        "a shape of 64 bits": {"shape": [2**64 - 1]},
        "a shape beyond": {"shape": [2**64]},
        "a negative shape": {"shape": [-1]},
        "a shape of text": {"shape": "1"},
        "no shape": {"shape": None},
        "another shape": {"shape": [1, *entry["shape"], 1]},
        "a hundred axes": {"shape": [1] * 97 + entry["shape"]},
        "a share": {"shape": [0.5]},
        "huge offsets": {"data_offsets": [start, 2**63]},
        "offsets past the end": {"data_offsets": [len(data), len(data) + stop - start]},
        "offsets turned round": {"data_offsets": [stop, start]},
        "a hole": {"data_offsets": [start, stop - 1]},
        "an offset": {"data_offsets": [start]},
        "negative offsets": {"data_offsets": [-1, stop]},
        "one field more": {"more": [1] * 10_000},
        "another dtype": {"dtype": "F99"},
        "no dtype": {"dtype": None},
        "a long dtype": {"dtype": "x" * 10_000},
    }
    for description, change in changes.items():
        yield description, together(json.dumps({**entries, names[0]: {**entry, **change}}), data)
    for dtype, size in (
        ("BF16", 2),
        ("F16", 2),
        ("I64", 8),
        ("BOOL", 1),
        ("I32", 4),
        ("F8_E4M3", 1),
    ):
        change = {"dtype": dtype, "shape": [(stop - start) // size]}
        yield dtype, together(json.dumps({**entries, names[0]: {**entry, **change}}), data)
    for shape in ([0], [0, 2**31], [2**62, 0], [0, 2**63], [0] * 40, [0] * 100):
        more = {"more": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}
        yield f"no size {shape[:3]}", together(json.dumps({**more, **entries}), data)
    long = {"x" * 10_000: entry, **{name: entries[name] for name in entries if name != names[0]}}
    yield "a long name", together(json.dumps(long), data)
    yield "an odd name", together(json.dumps(long).replace("x" * 10_000, "\\u202e\\u0000"), data)
    yield "deep", together(DEEP, data)
    yield "deep inside", together(own[:1] + f'"deep": {DEEP}, ' + own[1:], data)
    yield (
        "a tensor twice",
        together(own[:1] + f"{json.dumps(names[0])}: {json.dumps(entry)}, " + own[1:], data),
    )
    yield (
        "metadata twice",
        together(own[:1] + '"__metadata__": {"unspool": "{}"}, ' + own[1:], data),
    )
    yield (
        "metadata of numbers",
        together(json.dumps({**entries, "__metadata__": {"unspool": 1}}), data),
    )
    yield "no metadata", together(json.dumps({n: entries[n] for n in names}), data)
    yield "no tensors", together(json.dumps({"__metadata__": entries["__metadata__"]}), b"")
    yield "another text", together(own.encode().replace(b"module", b"\xff\xfe\xc0", 1), data)
    yield "UTF-16", together(own.encode("utf-16"), data)
    yield "zeros", together(bytes(1000), data)
    yield "nothing", together("", data)
    yield "a list", together("[]", data)
    yield "a huge header", (10**8).to_bytes(8, "little") + blob[8:]
    yield "the largest header", b"\xff" * 8 + blob[8:]


KINDS = {
    "cuts": cuts,
    "flips": flips,
    "fields": fields,
    "texts": texts,
    "containers": containers,
}
