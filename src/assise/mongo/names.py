"""Names of collections in the names of files, as mongo-tools 100 write and read them.

Go's `url.QueryEscape` and `url.QueryUnescape`: common/util/file.go of mongo-tools.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha1
from urllib.parse import quote_plus, unquote_to_bytes

CUT = 238
"""Bytes of the longest name of a file, without its ending, that holds the whole name.

A longer name of a collection is cut, and its hash added.
"""

_KEPT = 208
_MARK = "%24"


def file_name(collection: str) -> str:
    """Return a collection's name as mongodump writes it in the name of a file.

    It is escaped, and a long one is cut, with its hash.

    >>> file_name("a/b c"), file_name("a+b")
    ('a%2Fb+c', 'a%2Bb')
    """
    escaped = quote_plus(collection)
    if len(escaped) <= CUT:
        return escaped
    digest = sha1(collection.encode(), usedforsecurity=False).digest()
    return escaped[:_KEPT] + _MARK + urlsafe_b64encode(digest).decode().rstrip("=")


def unescape(name: str) -> str:
    """Return the name that mongorestore reads in an escaped one; itself where it reads none.

    >>> unescape("order+items"), unescape("100%")
    ('order items', '100%')
    """
    try:
        return unquote_to_bytes(name.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return name


def is_cut(stem: str) -> bool:
    """Say whether mongorestore takes the whole name from the metadata, not from the file."""
    return len(stem) == CUT and _MARK in stem


def whole_name(stem: str, given: str) -> str:
    """Return the name of the collection of a file whose metadata have the name `given`.

    mongodump writes it as it is, and mongorestore unescapes it where the file's name is cut. So
    files that are to be restored have it escaped; the hash tells which of both it is.
    """
    return unescape(given) if is_cut(stem) and file_name(unescape(given)) == stem else given
