"""Prints each GGUF file named, as gguf-py reads it, in the form of dump.rs."""

import sys

from gguf import GGUFReader
from gguf.constants import GGUFValueType

ARRAY = GGUFValueType.ARRAY


def dump_field(field):
    key = field.parts[1].tobytes().hex()
    kind = int(field.parts[2][0])
    parts = [field.parts[index].tobytes().hex() for index in field.data]
    if kind == ARRAY:
        return f"{key} [{field.parts[3][0]}] {''.join(part + ',' for part in parts)}"
    return f"{key} {kind} {parts[0]}"


def dump(path):
    reader = GGUFReader(path)
    for field in reader.fields.values():
        if not field.name.startswith("GGUF."):
            yield dump_field(field)
    for tensor in reader.tensors:
        dims = [int(dim) for dim in tensor.shape]
        name, kind = tensor.name.encode().hex(), tensor.tensor_type.name
        yield f"{name} {kind} {dims} {tensor.data_offset} {tensor.data.tobytes().hex()}"


for path in sys.argv[1:]:
    print("\n".join(dump(path)))
    print("end")
