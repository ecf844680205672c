"""UUIDs of binary subtype 3: each driver wrote their bytes in an order of its own."""

from __future__ import annotations

from bson.binary import OLD_UUID_SUBTYPE, Binary, UuidRepresentation

ORDERS = {
    "uuid_java": UuidRepresentation.JAVA_LEGACY,
    "uuid_csharp": UuidRepresentation.CSHARP_LEGACY,
    "uuid_python": UuidRepresentation.PYTHON_LEGACY,
}
"""The kinds, and what the driver's own documentation calls them."""

KIND = "uuid_python"
"""The kind that is proposed until the question is answered: the bytes in the order of the file."""


def ask_for_order(sample: bytes) -> str:
    """Show a UUID in each order of bytes, and ask for the right one.

    >>> print(ask_for_order(bytes(range(16))).replace(", ", chr(10)))
    which kind is right? uuid_java: 07060504-0302-0100-0f0e-0d0c0b0a0908
    uuid_csharp: 03020100-0504-0706-0809-0a0b0c0d0e0f
    uuid_python: 00010203-0405-0607-0809-0a0b0c0d0e0f
    """
    value = Binary(sample, OLD_UUID_SUBTYPE)
    shown = [f"{kind}: {value.as_uuid(order)}" for kind, order in ORDERS.items()]
    return f"which kind is right? {', '.join(shown)}"
