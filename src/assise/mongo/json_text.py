"""Documents in a stream of JSON text: lines, one array, or objects one after the other.

A document begins with a brace and ends where its braces are balanced, outside of strings, comments
and patterns. In valid text a closing brace is followed by an opening one only between documents:
where that happens within one, it is broken. After broken text reading resumes at the first later
place that looks like the beginning of a document of this file, where one frames, and which is
followed by another one or by the end. All of this is found without reading any value.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, NamedTuple, Self

from assise.documents.dialects.exact import GAP
from assise.documents.dialects.rules import LEVELS
from assise.errors import SourceError
from assise.mongo.frames import OpenRun, Run, Stream

LARGEST_TEXT = 48 << 20
"""Bytes of the longest text of one document."""

LONGEST_LINE = 8 << 20
"""Bytes in which a file of lines is looked through for the end of a line."""

MOST_TEXTS = 100_000
"""Texts that are in memory together."""

BLOCK = 1 << 20
TOO_DEEP = f"more than {LEVELS} levels"

_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"[\0", b"\0{", b"\0[")
_MARK = b"\xef\xbb\xbf"
_COMMENT = rb"//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/"
_PATTERN = rb"/(?![/*])(?:[^/\\\n\[]++|\\.|\[(?:[^\]\\\n]++|\\.)*+\])++"
_STRINGS = (rb'"(?:[^"\\\n]++|\\.)*+', rb"'(?:[^'\\\n]++|\\.)*+")
_NO_BRACE = b"|".join(
    (rb"[^\"'/{}]++", _STRINGS[0] + b'"', _STRINGS[1] + b"'", _COMMENT, _PATTERN + b"/")
)
_INSIDE = re.compile(rb"(?:%b|\{(?:%b)*+\}(?=[ \t\r\n]*+[^ \t\r\n{]))*+" % (_NO_BRACE, _NO_BRACE))
"""What is passed at once: all between braces, and documents without documents inside."""

_CUT = re.compile(rb"(?:%b|%b|%b)\n" % (*_STRINGS, _PATTERN))
"""A string or a pattern without an end."""

_NEXT = re.compile(rb"[ \t\r\n]*+([^ \t\r\n])")
_GAP = re.compile(GAP)
_GAP_IN_ARRAY = re.compile(GAP.replace(rb"[ \t\r\n]", rb"[ \t\r\n,]", 1))
BORDER = re.compile(rb"\}\r?\n(?=\{)")
_FIRST_KEY = re.compile(rb"\{[ \t\r\n]*+(?:\"[^\"\\\n]*+\"|'[^'\\\n]*+'|[\w$]++)[ \t\r\n]*+:")

Text = tuple[int, bytes]
"""What should be a document, or several, and its offset in the uncompressed source."""


@dataclass(frozen=True)
class TextShape:
    """How documents stand in a file.

    `start` is the offset of the first one. With `is_lines` each line that begins with a brace,
    after one that ends with a brace, begins a document. `head` is how later documents begin, with
    what stands before them.
    """

    is_lines: bool
    is_array: bool
    start: int
    head: str

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """Return the shape that `as_json` described."""
        return cls(**facts)

    def as_frames(self) -> Self:
        """Return the shape in which each document is found by its braces."""
        return replace(self, is_lines=False)


USUAL_HEAD = "\n{"
WITHIN = TextShape(is_lines=False, is_array=False, start=0, head=USUAL_HEAD)
"""The shape of a piece of a file that is not one document."""


def find_shape(stream: Stream, place: str) -> TextShape:
    """Find out how documents stand in a file, by its first two.

    Raises:
        SourceError: it is UTF-16.
    """
    window = _Window(stream, 0)
    window.more()
    if window.data.startswith(_UTF16):
        raise SourceError(
            f"{place} is UTF-16, and JSON is UTF-8: some shells write so what a program prints",
            remedy="Let the program write the file itself (mongoexport --out FILE), or convert it:"
            f" `iconv -f UTF-16 -t UTF-8 {shlex.quote(place)} > FILE`.",
        )
    window.p = 3 if window.data.startswith(_MARK) else 0
    window.pass_gap(drops=True)
    is_array = window.data[window.p : window.p + 1] == b"["
    window.p += is_array
    start = window.offset
    usual = TextShape(is_lines=not is_array, is_array=is_array, start=start, head=USUAL_HEAD)
    if not window.pass_gap(is_array=is_array, drops=True):
        return usual
    first = window.frame()
    window.p = first.stop
    if not first.is_whole or not window.pass_gap(is_array=is_array):
        return usual
    if not is_array and BORDER.match(window.data, first.stop - 1):
        return usual
    key = _FIRST_KEY.match(window.data, window.p)
    if key is None:
        return usual
    head = window.data[first.stop : key.end()]
    return TextShape(is_lines=False, is_array=is_array, start=start, head=head.decode("latin-1"))


class _Frame(NamedTuple):
    """Whether a document frames, and where it ends or is found to be broken.

    It was found in so many `steps`. `detail` is what is wrong with it, where that is known.
    """

    is_whole: bool
    stop: int
    steps: int = 0
    detail: str = ""


class _Window:
    """The part of the stream in memory; `data` is consumed up to position `p`."""

    def __init__(self, stream: Stream, offset: int) -> None:
        self._stream, self._base, self._is_end = stream, offset, False
        self.data, self.p, self.is_closed = b"", 0, False

    @property
    def offset(self) -> int:
        """The offset of the position in the source."""
        return self._base + self.p

    def more(self) -> bool:
        """Read as much again as is not consumed, within limits; False at the end."""
        if not self._is_end:
            size = max(BLOCK, min(len(self.data) - self.p, 8 * BLOCK))
            block = self._stream.read(size)
            self.data += block
            self._is_end = not block
        return not self._is_end

    def take(self, stop: int) -> bytes:
        """Consume the bytes up to `stop`."""
        taken = self.data[self.p : stop]
        self.skip(stop)
        return taken

    def skip(self, stop: int) -> None:
        """Consume the bytes up to `stop`, which nobody needs."""
        self.p = stop
        if stop >= BLOCK:
            self.data, self.p = self.data[stop:], 0
            self._base += stop

    def pass_gap(self, *, is_array: bool = False, drops: bool = False) -> bool:
        """Consume what stands between documents; False at the end, also that of the array.

        With `drops` no position from before is valid afterwards.
        """
        pattern, begin = _GAP_IN_ARRAY if is_array else _GAP, self.p
        while True:
            stop = self._end_of_gap(pattern, self.p)
            # A comment or a byte order mark may be cut by the end of the window.
            is_cut = self.data[stop : stop + 1] in {b"/", b"\xef"} and stop + 3 > len(self.data)
            is_cut |= self.data.startswith(b"/*", stop)
            if not is_cut and stop < len(self.data):
                break
            if drops:
                self.skip(stop)
                begin = stop = self.p
            self.p = stop
            if len(self.data) - begin > LARGEST_TEXT or not self.more():
                break
        self.p = stop
        if is_array and self.data.startswith(b"]", stop):
            after = self._end_of_gap(_GAP, stop + 1)
            while after == len(self.data) and after - stop < LONGEST_LINE and self.more():
                after = self._end_of_gap(_GAP, after)
            if after == len(self.data):
                self.p, self.is_closed = after, True
                return self.pass_gap(drops=drops)
        return self.p < len(self.data)

    def _end_of_gap(self, pattern: re.Pattern[bytes], start: int) -> int:
        found = pattern.match(self.data, start)
        return found.end() if found else start

    def frame(self) -> _Frame:
        """Find the end of the document at the position."""
        start, depth, at = self.p, 1, self.p + 1
        if not self.data.startswith(b"{", start):
            return _Frame(is_whole=False, stop=start)
        for steps in count():
            inside = _INSIDE.match(self.data, at)
            at = inside.end() if inside else at
            brace = self.data[at : at + 1]
            if brace == b"{":
                if depth == LEVELS:
                    return _Frame(is_whole=False, stop=at, steps=steps, detail=TOO_DEEP)
                depth, at = depth + 1, at + 1
                continue
            if brace == b"}":
                if depth == 1:
                    return _Frame(is_whole=at - start < LARGEST_TEXT, stop=at + 1)
                following = _NEXT.match(self.data, at + 1)
                if following and following[1] == b"{":
                    return _Frame(is_whole=False, stop=at + 1, steps=steps)
                if following:
                    depth, at = depth - 1, at + 1
                    continue
            elif _CUT.match(self.data, at):
                break
            if len(self.data) - start > LARGEST_TEXT or not self.more():
                break
        return _Frame(is_whole=False, stop=at, steps=steps)


class _TextRun(OpenRun):
    """A run of text while it is being read; what stands between documents is not the end of it."""

    def __init__(self, offset: int, gap: bytes) -> None:
        super().__init__(offset)
        self._gap, self._held = gap, b""

    def add(self, block: bytes) -> None:
        """Add some text, and hold back the gap at its end."""
        block = self._held + block
        text = block.rstrip(self._gap)
        if len(block) - len(text) > BLOCK:
            text = block
        self._held = block[len(text) :]
        super().add(text)


class TextReader:
    """Reads the texts of a stream whose first byte is at `offset`, where a document may begin."""

    def __init__(self, stream: Stream, offset: int, shape: TextShape) -> None:
        self._window, self._shape = _Window(stream, offset), shape
        self._start, self._spent = offset, 0
        self._head = shape.head.encode("latin-1")
        self._brace = self._head.index(b"{")
        self._gap = b" \t\r\n," if shape.is_array else b" \t\r\n"

    @property
    def offset(self) -> int:
        """How far the source is read."""
        return self._window.offset

    @property
    def is_cut(self) -> bool:
        """Whether the file is an array of which no end has been read."""
        return self._shape.is_array and not self._window.is_closed

    def read(self) -> Iterator[list[Text] | Run]:
        """Yield texts, some at a time, and the runs that no document frames in."""
        return self._read_lines() if self._shape.is_lines else self._read_frames()

    def _read_lines(self) -> Iterator[list[Text] | Run]:
        window = self._window
        while True:
            texts, p = list[Text](), window.p
            base = window.offset - p
            for border in BORDER.finditer(window.data, p):
                texts.append((base + p, window.data[p : border.start() + 1]))
                p = border.end()
                if len(texts) == MOST_TEXTS:
                    break
            window.skip(p)
            if texts:
                yield texts
            elif len(window.data) - window.p > LONGEST_LINE:
                # Far from the end of a line: it is framed as if it were no file of lines.
                yield from self._read_frames(window.offset + len(window.data) - window.p)
            elif not window.more():
                break
        if window.p < len(window.data):
            yield [(window.offset, window.take(len(window.data)))]

    def _read_frames(self, until: int | None = None) -> Iterator[list[Text] | Run]:
        window = self._window
        while window.pass_gap(is_array=self._shape.is_array, drops=True):
            frame, offset = window.frame(), window.offset
            if frame.is_whole:
                yield [(offset, window.take(frame.stop))]
            else:
                yield self._read_run()._replace(detail=frame.detail)
            if until is not None and window.offset >= until:
                break

    def _read_run(self) -> Run:
        window, head = self._window, self._head
        run, at = _TextRun(window.offset, self._gap), window.p + 1
        while True:
            found = window.data.find(head, at)
            if found < 0:
                self._pass(run, max(window.p, len(window.data) - len(head) + 1))
                at = window.p
                if window.more():
                    continue
                self._pass(run, len(window.data))
                return run.run()
            self._pass(run, found)
            begin = window.p
            tried = self._try(begin + self._brace)
            if tried.is_whole:
                window.p = begin + self._brace
                return run.run()
            # A place where much was read in vain is far from the next one that is tried.
            read, window.p = window.p - begin, begin
            self._spent += tried.steps
            at = begin + 1 + read // 64
            if tried.detail:
                at = max(at, tried.stop - self._brace)
            elif self._spent > 1000 + 4 * (window.offset - self._start):
                at = max(at, begin + min(read, 8 * tried.steps))

    def _pass(self, run: _TextRun, stop: int) -> None:
        """Let a run have the bytes up to `stop`."""
        window = self._window
        for start in range(window.p, stop, BLOCK):
            run.add(window.data[start : min(stop, start + BLOCK)])
        window.skip(stop)

    def _try(self, start: int) -> _Frame:
        """Return the frame that begins here; it is whole if another one or the end follows it."""
        window = self._window
        window.p = start
        frame = window.frame()
        window.p = frame.stop
        if not frame.is_whole or not window.pass_gap(is_array=self._shape.is_array):
            return frame
        is_line = self._head == b"\n{" and window.data[frame.stop : frame.stop + 1] in b"\r\n"
        return frame._replace(is_whole=is_line or window.data.startswith(b"{", window.p))
