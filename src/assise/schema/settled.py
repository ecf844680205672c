"""Expressions as the server prints them once it has read its own print.

There is one that it reads otherwise than it printed it: `(ARRAY[a, b])::text[]`, which it writes for
`varchar IN (a, b)`, becomes `ARRAY[(a)::text, (b)::text]` and stays so. Without this a check that a
revision or a dump made would differ from the same check that the manifest made.
"""

from __future__ import annotations

import re
from itertools import pairwise

MARK = "(ARRAY["
"""Without this in a text nothing is to be done."""

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|\$(\w*)\$.*?\$\1\$|[()\[\],]""", re.DOTALL)
_CAST = re.compile(r'\)::((?:"[^"]*"|[\w .]|\(\d+(?:,\d+)?\))+)\[\]')


def settle(text: str) -> str:
    """SQL that the server has printed, as it prints it once it has read it.

    >>> settle("(a)::text = ANY ((ARRAY['x'::character varying, b])::text[])")
    "(a)::text = ANY (ARRAY[('x'::character varying)::text, (b)::text])"
    """
    while MARK in text and (found := _settle_one(text)):
        text = found
    return text


def _settle_one(text: str) -> str:
    """The text with the first cast of an array put on its elements; empty where there is none."""
    opened, last = list[list[int]](), list[int]()
    for token in _TOKEN.finditer(text):
        place = token.start()
        match token[0]:
            case "(" | "[":
                opened.append([place])
            case "," if opened:
                opened[-1].append(place)
            case "]":
                last = [*opened.pop(), place]
            case ")":
                start, cast = opened.pop()[0], _CAST.match(text, place)
                if cast and last[-1:] == [place - 1] and text[start : last[0] + 1] == MARK:
                    parts = [text[one + 1 : other].strip() for one, other in pairwise(last)]
                    listed = ", ".join(_cast(part, cast[1]) for part in parts)
                    return f"{text[:start]}ARRAY[{listed}]{text[cast.end() :]}"
    return ""


def _cast(part: str, type_: str) -> str:
    """An element with a cast; of an array in an array the elements get it."""
    return f"({part})::{type_}" + ("[]" if part.startswith("ARRAY[") else "")
