"""Reports, plans and rejects as tables on the terminal, or as JSON."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from assise.postgres.embedded import Status
from assise.project import Plan
from assise.transfer.ledger import Reject
from assise.transfer.repair import Repair
from assise.transfer.report import CollectionReport, Report, Verified
from assise.transfer.undo import Undo
from assise.wording import count_of

_UNITS = ("B", "kB", "MB", "GB", "TB")
_LESS_NEEDED = ("size", "seconds")
TICK = "✓"
_NARROW = 80
_UNLIMITED = 100_000
_BAD = "bold red"
FEW_S = 5


def format_bytes(size: int) -> str:
    """A size with one decimal place from a kilobyte on.

    >>> format_bytes(999), format_bytes(1536)
    ('999 B', '1.5 kB')
    """
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:,.1f} {_UNITS[unit]}" if unit else f"{size} B"


def wrap(line: str, console: Console) -> str:
    """A line as the terminal shows it: broken between words, indented from its second row on; elsewhere as it is.

    What somebody may copy stays whole: a command in backquotes, a line that begins with `next:`, a word however long.
    """
    if not console.is_terminal or line.startswith("next: "):
        return line
    glued = re.sub("`[^`]*`", lambda command: command[0].replace(" ", "\0"), line)
    rows = [
        row
        for part in glued.split("\n")
        for row in textwrap.wrap(
            part,
            console.width,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        or [""]
    ]
    return "\n".join(rows).replace("\0", " ")


def format_about(count: int) -> str:
    """A count with two digits that mean something.

    >>> format_about(7), format_about(299_926)
    ('7', '300,000')
    """
    return f"{round(count, min(0, 2 - len(str(count)))):,}"


def format_seconds(seconds: float) -> str:
    """A time that is only known within a factor of two.

    >>> format_seconds(3.2), format_seconds(47.1), format_seconds(200), format_seconds(9_000)
    ('a few seconds', 'about 47 seconds', 'about 3 minutes', 'about 2 hours')
    """
    if seconds < FEW_S:
        return "a few seconds"
    size, unit = next(
        (size, unit)
        for size, unit in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        if seconds >= 2 * size
    )
    return f"about {format_about(round(seconds / size))} {unit}"


def print_report(report: Report, *, as_json: bool) -> None:
    """One table in the manner of pgloader: a line a collection, its tables below it, the sums at the end; zeros as a tick.

    A terminal that is too narrow goes without sizes, then without seconds. Where no table fits, long names are folded, and below
    80 columns each figure has a line of its own.
    """
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
        return
    console = _console()
    unlimited = console.options.update(width=_UNLIMITED)
    tables = [
        _report_table(report, without=_LESS_NEEDED[:count])
        for count in range(len(_LESS_NEEDED) + 1)
    ]
    fitting = next(
        (
            table
            for table in tables
            if console.measure(table, options=unlimited).maximum <= console.width
        ),
        None,
    )
    if fitting is None and console.width < _NARROW:
        _print_lines(console, report)
    else:
        console.print(fitting or tables[-1])
    for collection in report.collections:
        _print_words(console, *collection.differences)


def _print_words(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(wrap(line, console), highlight=False, markup=False, soft_wrap=True)


def _print_lines(console: Console, report: Report) -> None:
    total = _total(report)
    total.tables = {}
    for collection in [*report.collections, total]:
        console.print(Text(collection.name, style="bold"))
        for heading, cell in list(_figures(collection).items())[1:]:
            if heading != "verified" or collection.verified:
                console.print(Text.assemble(f"  {heading:<10}", cell))
        for name, rows in collection.tables.items():
            console.print(Text(f"  {name}: {count_of(rows, 'row')}", style="dim"))


def _report_table(report: Report, *, without: Sequence[str]) -> Table:
    headings = [
        "collection, table",
        "documents",
        "loaded",
        "rejected",
        "size",
        "seconds",
        *(["verified"] if report.verified is not None else []),
    ]
    kept = [heading for heading in headings if heading not in without]
    table = _table(kept)
    for collection in report.collections:
        figures = _figures(collection)
        table.add_row(*(figures[heading] for heading in kept))
        for name, rows in collection.tables.items():
            table.add_row(
                Text(f"  {name}", style="dim"), "", Text(count_of(rows, "row"), style="dim")
            )
    figures = _figures(_total(report))
    table.add_row(*(figures[heading] for heading in kept), style="bold")
    return table


def _total(report: Report) -> CollectionReport:
    total = CollectionReport("total", verified=report.verified)
    for collection in report.collections:
        total.add(collection)
    total.seconds = report.seconds
    return total


def _figures(collection: CollectionReport) -> dict[str, Text | str]:
    """The cells of a line, by heading."""
    verified = collection.verified or Verified()
    problems = [
        f"{count:,} {name}" for name, count in vars(verified).items() if count and name != "equal"
    ]
    return {
        "collection, table": Text(collection.name),
        "documents": f"{collection.documents:,}",
        "loaded": f"{collection.loaded:,}",
        "rejected": Text(f"{collection.rejected:,}", style=_BAD) if collection.rejected else TICK,
        "size": format_bytes(collection.bytes),
        "seconds": f"{collection.seconds:,.2f}",
        "verified": Text(", ".join(problems), style=_BAD)
        if problems
        else f"{TICK} {verified.equal:,} equal",
    }


def print_plan(plan: Plan, *, as_json: bool = False) -> None:
    """What a load would do."""
    if as_json:
        print(json.dumps(plan.as_json()))
        return
    console = _console()
    _print_words(console, f"source  {plan.source}", f"target  {plan.target}")
    table = _table(["collection", "size on disk", "documents, about"])
    for name, size in plan.collections.items():
        table.add_row(Text(name), format_bytes(size), format_about(plan.documents[name]))
    console.print(table)
    time = f"time    load {format_seconds(plan.load_seconds)}, verify {format_seconds(plan.verify_seconds)}"
    _print_words(console, time, f"tables  {', '.join(plan.tables)}")


def print_undo(undo: Undo, *, as_json: bool) -> None:
    """What an undo drops or has dropped, a line each."""
    if as_json:
        print(json.dumps(undo.as_json(), ensure_ascii=False))
        return
    table = _table(["table dropped" if undo.is_done else "table to drop", "rows", "since the load"])
    for each in undo.tables:
        table.add_row(
            Text(each.name),
            f"{each.rows:,}",
            Text("gone" if each.is_gone else ", ".join(each.edits) or TICK),
        )
    console = _console()
    console.print(table)
    others = [f"function {name}" for name in undo.functions] + ["schema assise"] * (
        undo.drops_ledger and not undo.others
    )
    head = "dropped" if undo.is_done else "to drop"
    _print_words(console, f"{head} as well: {', '.join(others) or 'nothing'}")
    if undo.others:
        _print_words(console, f"schema assise stays, it has: {', '.join(undo.others)}")


def print_repair(repair: Repair, *, as_json: bool) -> None:
    """What verify finds, and what a repair would do, or has done before."""
    if as_json:
        print(json.dumps(repair.as_json(), ensure_ascii=False))
        return
    print_report(repair.report, as_json=False)
    written, removed = ("written", "removed") if repair.is_done else ("to write", "to remove")
    lines = [] if repair.is_done else repair.lines
    lines += [
        f"{table.name}: {count_of(table.written, 'row')} {written}, {table.removed:,} {removed}"
        for table in repair.tables
    ]
    _print_words(_console(), *(lines or ["nothing to repair"]))


def print_rejects(rejects: Sequence[Reject], *, as_json: bool) -> None:
    """The rejects, a line each; on a narrow terminal a paragraph each. Offsets are plain digits, as `assise rejects` takes them."""
    if as_json:
        print(
            json.dumps(
                [
                    {
                        **reject._asdict(),
                        "reason": int(reject.reason),
                        "reason_name": reject.reason.name,
                    }
                    for reject in rejects
                ]
            )
        )
        return
    console = _console()
    table = _table(["collection", "offset", "size", "reason", "detail"])
    for reject in rejects:
        reason, size = reject.reason.name.lower().replace("_", " "), format_bytes(reject.size)
        if console.width < _NARROW:
            _print_words(
                console, f"{reject.collection} {reject.offset}, {size}: {reason}, {reject.detail}"
            )
        else:
            table.add_row(
                Text(reject.collection), f"{reject.offset}", size, reason, Text(reject.detail)
            )
    if table.rows or not rejects:
        console.print(table if rejects else "no rejects")


def print_status(status: Status, *, as_json: bool) -> None:
    """Whether the embedded server runs, and where: a fact a line."""
    facts = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(status).items()
    }
    if as_json:
        print(json.dumps(facts))
        return
    facts |= {"running": "yes" if status.running else "no", "size_bytes": f"{status.size_bytes:,}"}
    for name, value in facts.items():
        if value is not None:
            print(f"{name:<14} {value}")


def _table(headings: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        is_text = heading in {
            "table dropped",
            "table to drop",
            "since the load",
            "collection",
            "collection, table",
            "verified",
            "reason",
            "detail",
        }
        table.add_column(
            heading, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold"
        )
    return table


def _console() -> Console:
    """The terminal; elsewhere wide enough that no line is broken. What the locale cannot write, such as a tick, is escaped."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    return console if console.is_terminal else Console(width=_UNLIMITED)
