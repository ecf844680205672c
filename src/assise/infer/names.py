"""Names of tables and columns made from names of collections and keys of documents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

from assise.manifest.names import MAX_NAME_BYTES, SYSTEM_COLUMNS, cut_name, shorten

_IRREGULAR = {
    "aliases": "alias",
    "caches": "cache",
    "children": "child",
    "cookies": "cookie",
    "men": "man",
    "movies": "movie",
    "news": "news",
    "people": "person",
    "series": "series",
    "shoes": "shoe",
    "species": "species",
    "women": "woman",
}
_ENDINGS = (
    ("ss", "ss"),
    ("us", "us"),
    ("is", "is"),
    ("ies", "y"),
    ("sses", "ss"),
    ("xes", "x"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("oes", "o"),
    ("auses", "ause"),
    ("ouses", "ouse"),
    ("uses", "us"),
    ("s", ""),
)
_GAP = "\0"


def singular(name: str) -> str:
    """Return the singular of a name whose last word is an English plural.

    >>> [singular(name) for name in ("projects", "tax_categories", "boxes", "addresses", "status")]
    ['project', 'tax_category', 'box', 'address', 'status']
    """
    before, gap, word = name.rpartition("_")
    if word in _IRREGULAR:
        return before + gap + _IRREGULAR[word]
    for plural, ending in _ENDINGS:
        if word.endswith(plural) and len(word) > max(len(plural), 2):
            return before + gap + word.removesuffix(plural) + ending
    return name


def snake_case(text: str) -> str:
    """Return `text` in lower case with underscores between its words.

    Letters of every script are kept.

    >>> [snake_case(text) for text in ("fullName", "HTTPServer", "imageURLs", "unit price ($)")]
    ['full_name', 'http_server', 'image_urls', 'unit_price']
    >>> [snake_case(text) for text in ("__v", "Straße", "2fa", "")]
    ['__v', 'straße', '_2fa', 'empty']
    >>> [snake_case(text) for text in ("€€€", "_", "...", "\u200b")]
    ['euro_sign', '_', 'full_stop', 'zero_width_space']
    """
    if not text:
        return "empty"
    normal = unicodedata.normalize("NFC", text)
    kept = [c for c in normal if unicodedata.category(c) not in {"Cc", "Cf"}]
    spaced = "".join(_space_out(kept, i) for i in range(len(kept)))
    name = unicodedata.normalize("NFC", spaced.strip(_GAP).lower())
    inner = name.strip("_")
    leading = name[: len(name) - len(name.lstrip("_"))]
    trailing = "_" if inner and name.endswith("_") else ""
    words = filter(None, inner.replace("_", _GAP).split(_GAP))
    name = leading + "_".join(words) + trailing
    return ("_" + name if name[:1].isdigit() else name) or _name_sign(text)


def _name_sign(text: str) -> str:
    """The name of the first sign of a text without letters and digits."""
    name = unicodedata.name(text[0], "sign")
    return re.sub("[^a-z0-9]+", "_", name.lower())


_PARSE_POINTER = "_p_"
_MEANINGS = {
    "__v": "how often Mongoose has changed an array of the document",
    "_class": "the class that Spring Data reads the document into",
    "_cls": "the class that MongoEngine reads the document into",
    "_rperm": "who may read the object in Parse",
    "_wperm": "who may write the object in Parse",
    "_acl": "who may read and write the object in Parse",
}


def describe_key(keys: Sequence[str]) -> str:
    """Return what a framework means by a key at the root of its documents; empty for any other.

    >>> describe_key(["_p_author"]), describe_key(["author"])
    ('a pointer of Parse: class, $ and id', '')
    """
    if len(keys) != 1:
        return ""
    if keys[0].startswith(_PARSE_POINTER):
        return "a pointer of Parse: class, $ and id"
    return _MEANINGS.get(keys[0], "")


def column_name(keys: Sequence[str]) -> str:
    """Return the name of the column that reads the field at `keys`, before it is made unique.

    `_id` is called `id`, and Parse's prefix of a pointer is left out.

    >>> column_name(["address", "zipCode"]), column_name(["user", "_id"]), column_name(["xmin"])
    ('address_zip_code', 'user_id', 'xmin_')
    >>> column_name(["_p_author"])
    'author'
    """
    if len(keys) == 1 and keys[0].removeprefix(_PARSE_POINTER):
        keys = [keys[0].removeprefix(_PARSE_POINTER)]
    first, *others = ("id" if key == "_id" else snake_case(key) for key in keys)
    if others and first.strip("_"):
        first = first.rstrip("_")
    name = "_".join([first, *(word.lstrip("_") for word in others)])
    return name + "_" if name in SYSTEM_COLUMNS else name


_KEY_ENDINGS = ("id", "uid", "key", "code", "number", "sku", "slug")


def is_reference_name(key: str, collection: str, field: str) -> bool:
    """Return whether the name of a field says that it holds `field` of a document of a collection.

    >>> [is_reference_name(key, "users", "_id") for key in ("userId", "user", "createdBy")]
    [True, True, False]
    >>> is_reference_name("device_uid", "devices", "uid"), is_reference_name("name", "users", "name")
    (True, False)
    """
    name, one = snake_case(key), singular(snake_case(collection))
    if field == "_id":
        stem = singular(name.removesuffix("_ids").removesuffix("_id"))
        return stem == one or stem.endswith(f"_{one}")
    own = snake_case(field)
    is_same = name == own and own.rpartition("_")[2] in _KEY_ENDINGS
    return is_same or name == f"{one}_{own}" or name.endswith(f"_{one}_{own}")


def name_things(collections: Collection[str]) -> dict[str, str]:
    """What the documents of each collection are called: its name without words that all begin with.

    >>> name_things(["Sakila_actors", "Sakila_films"]), name_things(["users"])
    ({'Sakila_actors': 'actors', 'Sakila_films': 'films'}, {'users': 'users'})
    """
    names = {collection: snake_case(collection) for collection in collections}
    words = zip(*(name.split("_") for name in names.values()), strict=False)
    common = [each[0] for each in takewhile(lambda each: len({*each}) == 1, words)]
    front = "".join(f"{word}_" for word in common)
    return {collection: name.removeprefix(front) or name for collection, name in names.items()}


class Names:
    """The names of one table's columns; each is given out once."""

    _suffixes: tuple[str, ...] = ("",)

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}

    def is_taken(self, name: str) -> bool:
        """Return whether the table has a column of this name."""
        return name in self._taken

    def take(self, wanted: str) -> str:
        """Return `wanted`, shortened if need be, or the first free of `wanted_2`, `wanted_3`, …."""
        size = MAX_NAME_BYTES - len(self._suffixes[-1])
        first = name = shorten(wanted, size)
        while any(name + suffix in self._taken for suffix in self._suffixes):
            number = self._numbers[first] = self._numbers.get(first, 1) + 1
            ending = f"_{number}"
            name = cut_name(first, size - len(ending)) + ending
        self._taken.update(name + suffix for suffix in self._suffixes)
        return name


class TableNames(Names):
    """The names of a manifest's tables.

    PostgreSQL names the index of a key `<table>_pkey`, and no index may have the name of a table.
    """

    _suffixes = ("", "_pkey")


def _space_out(text: Sequence[str], i: int) -> str:
    """Return a character, a gap before it where a word starts, or a gap where it is no letter."""
    c = text[i]
    if _starts_word(text, i):
        return _GAP + c
    return c if c == "_" or _is_letter(c) else _GAP


def _is_letter(c: str) -> bool:
    return c.isalnum() or unicodedata.category(c).startswith("M")


def _starts_word(text: Sequence[str], i: int) -> bool:
    """Return whether a capital follows a small letter or a digit, or ends a run of capitals.

    A plural s (URLs) belongs to the run.
    """
    if not text[i].isupper() or i == 0:
        return False
    if text[i - 1].islower() or text[i - 1].isdigit():
        return True
    following = [*text[i + 1 : i + 3], "", ""]
    is_plural = following[0] == "s" and not following[1].islower()
    return text[i - 1].isupper() and following[0].islower() and not is_plural
