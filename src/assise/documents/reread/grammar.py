"""The grammar of JSON and of the mongo shell, as one regular expression for each step.

A step is one value with what stands before it (a key) and behind it (a comma or a closing
bracket). The expressions work on UTF-8 bytes and never step back into what they have passed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Expression = re.Pattern[bytes]


@dataclass(frozen=True)
class Grammar:
    """The steps of one syntax.

    `space` passes white space; `closer` is what ends an empty container, or one after a trailing
    comma; `follow` is what stands behind a container; `steps` has the step inside a container by
    the bracket that closes it: a field, an item of an array, an argument of a call. `dollar` tells
    that the first key of a document begins with a dollar sign.

    The last group of a step that matched is `end` behind a scalar, `open` or `call`.
    """

    space: Expression
    closer: Expression
    follow: Expression
    steps: dict[bytes, Expression]
    has_trailing_commas: bool


_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_NUMBER = rb"(?P<number>-?(?:0|[1-9][0-9]*+)(?P<fraction>(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+))"
_WORD = rb"(?P<word>true|false|null|NaN|-?(?:Infinity|nan|inf))"
_TYPED = (
    rb'\{%b"\$(?P<type>oid|date|numberInt|numberLong|numberDouble|numberDecimal)"%b:'
    rb'%b"(?P<text>[^"\\\x00-\x1f]*+)"%b\}' % (_SPACE, _SPACE, _SPACE, _SPACE)
)

_SHELL_SPACE = rb"(?:[ \t\r\n]++|\xef\xbb\xbf|//[^\n]*+|/\*(?s:.*?)\*/)*+"
_SHELL_ESCAPE = rb"\\(?:[\"'\\/bfnrtv0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
_SHELL_STRING = rb'(?:"(?:[^"\\\x00-\x1f]++|%b)*+"|\'(?:[^\'\\\x00-\x1f]++|%b)*+\')' % (
    _SHELL_ESCAPE,
    _SHELL_ESCAPE,
)
_NAME = rb"[\w$\x80-\xff]++"
_SHELL_WORD = rb"(?P<word>true|false|null|undefined|NaN|-?(?:Infinity|nan|inf)|MinKey|MaxKey)"
_CALL = rb"(?:new[ \t\r\n]++)?+(?P<call>[A-Za-z][\w.]*+)%b\(" % _SHELL_SPACE
_CLASS = rb"\[(?:[^\]\\\x00-\x1f]++|\\[^\x00-\x1f])*+\]"
_REGEX = (
    rb"/(?P<pattern>(?![*/])(?:[^/\\\[\x00-\x1f]++|\\[^\x00-\x1f]|%b)++)/(?P<flags>[a-z]*+)"
    % _CLASS
)


def _make_strict() -> Grammar:
    scalars = b"|".join((b"(?P<string>%b)" % _STRING, _NUMBER, _WORD, _TYPED))
    return _make(_SPACE, _STRING, scalars=scalars, opener=rb"(?P<open>[{\[])", is_shell=False)


def _make_shell() -> Grammar:
    scalars = b"|".join((b"(?P<string>%b)" % _SHELL_STRING, _NUMBER, _SHELL_WORD, _REGEX))
    key = _SHELL_STRING + b"|" + _NAME
    opener = rb"(?:(?P<open>[{\[])|%b)" % _CALL
    return _make(_SHELL_SPACE, key, scalars=scalars, opener=opener, is_shell=True)


def _make(space: bytes, key: bytes, *, scalars: bytes, opener: bytes, is_shell: bool) -> Grammar:
    def step(start: bytes, closer: bytes) -> Expression:
        scalar = rb"(?:%b)%b(?P<end>[,%b])" % (scalars, space, closer)
        return re.compile(rb"%b%b(?:%b|%b)" % (space, start, scalar, opener))

    field = rb"(?P<key>%b)%b:%b" % (key, space, space)
    return Grammar(
        space=re.compile(space),
        closer=re.compile(space + rb"([}\])])"),
        follow=re.compile(space + rb"([,}\])])"),
        steps={
            b"}": step(field, rb"}"),
            b"]": step(b"(?P<key>)", rb"\]"),
            b")": step(b"(?P<key>)", rb")"),
        },
        has_trailing_commas=is_shell,
    )


STRICT = _make_strict()
SHELL = _make_shell()
