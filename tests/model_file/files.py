"""Take model files apart, and write them again with another header or other tensors."""

import json
import zlib

import safetensors

from unspool.model_file.format import to_bytes


def parts(path):
    """Header without its checksum, and tensors, of the file at `path`."""
    with safetensors.safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["unspool"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["crc32"]
    return header, tensors


def rewrite(path, change):
    """Write the file again after `change(header, tensors)`, with a valid checksum."""
    header, tensors = parts(path)
    change(header, tensors)
    path.write_bytes(to_bytes(header, tensors))


def changed(**changes):
    """A change of header fields, such as `fitted__window=[3, 1]`; the value `...` deletes one."""

    def change(header, _):
        for key, value in changes.items():
            place = header
            *way, last = key.split("__")
            for name in way:
                place = place[name]
            if value is ...:
                del place[last]
            else:
                place[last] = value

    return change


def tensor(name, change):
    """A change of one tensor; if `change` returns None, the tensor is deleted."""

    def put(_, tensors):
        found = change(tensors.pop(name, None))
        if found is not None:
            tensors[name] = found

    return put


def apart(blob):
    """The text of the safetensors header, and the bytes of all tensors."""
    size = int.from_bytes(blob[:8], "little")
    return blob[8 : 8 + size].decode(), blob[8 + size :]


def together(own, data):
    """The bytes of a file with this safetensors header (text or bytes) and this data, unchecked."""
    own = own if isinstance(own, bytes) else own.encode("utf-8", "surrogatepass")
    return len(own).to_bytes(8, "little") + own + data


def with_text(blob, text):
    """The file with another text in the metadata entry 'unspool'."""
    own, data = apart(blob)
    changed_own = json.loads(own)
    changed_own["__metadata__"] = {"unspool": text}
    return together(json.dumps(changed_own), data)


def sealed(blob, body):
    """The file whose header is `body` (JSON without its last bracket) and a valid checksum."""
    own, data = apart(blob)
    crc = zlib.crc32(body.encode())
    for name, entry in sorted(json.loads(own).items()):
        if name != "__metadata__":
            shape, (start, stop) = ",".join(map(str, entry["shape"])), entry["data_offsets"]
            crc = zlib.crc32(f"{name} {entry['dtype']} {shape}".encode() + data[start:stop], crc)
    return with_text(blob, f'{body}, "crc32": "{crc:08x}"}}')
