"""What people and the shells write, and what is refused, by hand, for the second reader."""

from __future__ import annotations

import re
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
from bson import (
    DatetimeMS,
    encode,
)
from tests.documents.texts import MIDNIGHT, REFUSED, SHELL
from tests.oracle.values import write_document

from assise.documents.reread.reader import read_again
from assise.errors import ExtendedJsonError


@pytest.mark.parametrize("text", SHELL)
def test_the_shell_by_hand(text: str) -> None:
    found = read_again(b"\xef\xbb\xbf { v : %b, }" % text.encode(), is_old=True)
    assert found == encode({"v": SHELL[text]})


def test_undefined_is_not_null() -> None:
    assert read_again(b"{v: undefined}", is_old=True) == write_document([(b"v", (0x06, b""))])


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:60])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ExtendedJsonError, match=re.escape(REFUSED[text])):
        read_again(text.encode(), is_old=False)


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(ExtendedJsonError, match="not UTF-8 near byte 7"):
        read_again(b'{"a": "\xff"}', is_old=False)


def test_a_zone_is_that_of_dates_without_one() -> None:
    paris = ZoneInfo("Europe/Paris")
    text = (
        b'{"a": {"$date": "2024-07-01T12:00"}, "b": Date("2024-01-31"), "c": ISODate("2024-01-31")}'
    )
    assert read_again(text, is_old=False, zone=paris) == encode(
        {
            "a": DatetimeMS(1_719_828_000_000),
            "b": DatetimeMS(1_706_655_600_000),
            "c": MIDNIGHT,
        }
    )
    with pytest.raises(ExtendedJsonError, match="--zone"):
        read_again(b'{"a": {"$date": "+012024-07-01T12:00"}}', is_old=False, zone=paris)


def test_a_large_text_needs_little_memory() -> None:
    program = """if True:
        from assise.documents.reread.reader import read_again
        for text in (
            b'{"a": "' + rb"\\u00e9" * (4 << 20) + b'"}',
            b'{"a": {"$binary": {"base64": "' + b"A" * (16 << 20) + b'", "subType": "00"}}}',
        ):
            read_again(text, is_old=False)
        status = open("/proc/self/status").read()
        print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) < 200
