"""What the text of a file is read by, and what had to be guessed while it was read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from zoneinfo import ZoneInfo

LARGEST = (16 << 20) + (16 << 10)
"""Bytes of the largest document, as in `.bson` files."""

LEVELS = 200
"""Levels of documents and arrays in each other; MongoDB's own limit is 100."""


class Version(Enum):
    """The version of Extended JSON that a file is written in.

    Of the two only V1 has dates as numbers, regular expressions as `$regex` with `$options`,
    binaries with `$type` and UUIDs without dashes. In V2 these are documents or errors.
    """

    V1 = "v1"
    V2 = "v2"


class Guess(Enum):
    """A rule by which a value was read of which the text says too little; in words."""

    BIG_INTEGER = "integers of more than 64 bits, read as doubles"
    MINUS_ZERO = "integers -0, read as doubles"
    CUT_DIGITS = "dates with digits behind the milliseconds, which were cut"
    LOST_DATE = (
        "dates 9999-12-31T23:59:59.999999999Z, by which their writer says that they are lost"
    )
    ISODATE = "dates ISODate(…) without a zone, read as UTC"
    ZONE = "dates without a zone, read in the zone that was given"
    UUID = "UUIDs without dashes, read as binaries of subtype 4"
    REGEX = "documents {$regex, $options}, read as regular expressions"
    QUERY = "documents {$regex, $options}, kept as documents as version 2 has it"


@dataclass
class Rules:
    """The dialect of a file and the zone of dates without one.

    `guesses` counts the values that had to be guessed. `signs` has the words that only one dialect
    has, as far as they occurred.
    """

    dialect: Version
    zone: ZoneInfo | None = None
    guesses: Counter[Guess] = field(default_factory=Counter)
    signs: dict[Version, str] = field(default_factory=dict)

    @property
    def is_old(self) -> bool:
        """Whether the file is of version 1."""
        return self.dialect is Version.V1
