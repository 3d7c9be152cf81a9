"""Assets and archives, carried through the SDK whole.

The engine knows an asset by its hash. What it compares, and what is old, it sends as a hash without contents, which
`pulumi.provider.experimental` cannot read; and of an asset with contents that loses the hash, by which alone the next
comparison can tell a change. So an asset travels through the SDK as a text that says all that the engine said, and
becomes again what it was on its way back.
"""

import json
from collections.abc import Callable
from typing import Final

from google.protobuf import json_format, message, struct_pb2

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key under which a value says what it is, when it is no plain map."""

ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"


def wrap(request: message.Message) -> None:
    """Make a text asset of every asset and archive in the property maps of a request, with all that was said of it."""
    _each_map(request, _wrap)


def unwrap(response: message.Message) -> None:
    """Make what it was of everything that `wrap` made a text asset of."""
    _each_map(response, _unwrap)


def _each_map(whole: message.Message, change: Callable[[struct_pb2.Struct], None]) -> None:
    for _, value in whole.ListFields():
        if isinstance(value, struct_pb2.Struct):
            _walk(value, change)


def _walk(struct: struct_pb2.Struct, change: Callable[[struct_pb2.Struct], None]) -> None:
    if SIGNATURE in struct.fields and struct.fields[SIGNATURE].string_value in (ASSET, ARCHIVE):
        change(struct)
        return
    for value in struct.fields.values():
        _walk_value(value, change)


def _walk_value(value: struct_pb2.Value, change: Callable[[struct_pb2.Struct], None]) -> None:
    match value.WhichOneof("kind"):
        case "struct_value":
            _walk(value.struct_value, change)
        case "list_value":
            for element in value.list_value.values:
                _walk_value(element, change)
        case _:
            return


def _wrap(struct: struct_pb2.Struct) -> None:
    said = json.dumps(json_format.MessageToDict(struct), sort_keys=True)
    struct.Clear()
    struct.update({SIGNATURE: ASSET, "text": said})


def _unwrap(struct: struct_pb2.Struct) -> None:
    said = struct.fields["text"].string_value
    struct.Clear()
    json_format.Parse(said, struct)
