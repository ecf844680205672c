"""Files as texts: Markdown and plain text as they are, HTML as Markdown without its markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import PurePath

SUFFIXES = {".md": "text", ".markdown": "text", ".txt": "text", ".html": "html", ".htm": "html"}
_BLOCKS = frozenset(
    "address article aside blockquote body dd div dl dt fieldset figure footer form header hr li main"
    " nav ol p section table tr ul br h1 h2 h3 h4 h5 h6 pre title".split()
)
_UNSEEN = frozenset("script style template noscript svg".split())
_HEADING = re.compile(r"h[1-6]")
_TITLE = re.compile(r"^ {0,3}#{1,6}\s++(\S.*)", re.MULTILINE)
_BLANK_LINES = re.compile(r"(?<![ \t])[ \t]*+\n\s*\n\s*")


def read_page(path: PurePath, text: str) -> tuple[str, str]:
    """The title of a file and its text; without a heading its name is the title.

    >>> read_page(PurePath("a.html"), "<h1>Caf&eacute;</h1><p>Open <b>now</b>.</p><script>x</script>")
    ('Café', '# Café\\n\\nOpen now.')
    """
    title = ""
    if SUFFIXES.get(path.suffix.lower()) == "html":
        reader = _Reader()
        reader.feed(text)
        reader.close()
        title, text = reader.title.strip(), reader.read()
    found = _TITLE.search(text)
    heading = found[1].rstrip().rstrip("#").rstrip() if found else ""
    return (title or heading or path.stem)[:500], text.strip()


class _Reader(HTMLParser):
    """The text of a page; headings and code stay as they are in Markdown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._unseen = 0
        self._is_title = self._is_code = False

    def read(self) -> str:
        """What was read; blank lines are single ones."""
        return _BLANK_LINES.sub("\n\n", "".join(self._parts)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block, a heading, or what nobody sees."""
        del attrs
        self._unseen += tag in _UNSEEN
        self._is_title = tag == "title"
        if tag in _BLOCKS:
            self._parts.append("\n\n" if tag not in {"br", "li", "tr"} else "\n")
        if _HEADING.fullmatch(tag):
            self._parts.append(f"{'#' * int(tag[1])} ")
        elif tag == "pre" and not self._is_code:
            self._is_code = True
            self._parts.append("```\n")

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        self._unseen = max(self._unseen - (tag in _UNSEEN), 0)
        self._is_title = self._is_title and tag != "title"
        if tag == "pre" and self._is_code:
            self._is_code = False
            self._parts.append("\n```")
        if tag in _BLOCKS:
            self._parts.append("\n\n" if tag not in {"li", "tr"} else "")

    def handle_data(self, data: str) -> None:
        """Keep a text that is seen."""
        if self._unseen:
            return
        if self._is_title:
            self.title += " ".join(data.split())
            return
        self._parts.append(data if self._is_code else re.sub(r"\s+", " ", data))
