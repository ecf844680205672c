"""Write docs/reference from live objects: commands, manifest, settings, Project, errors.

`--check` writes nothing and fails where a page is another.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import bson
from bson import Binary, Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS

from assise import cli, errors
from assise.cli.nouns import list_commands
from assise.cli.run import EXIT_STOPPED
from assise.errors import AssiseError
from assise.manifest import names, paths
from assise.manifest.reference import list_keys
from assise.manifest.sections import columns, comments, primary_keys
from assise.project import Project
from assise.settings import SECRET, SETTINGS, TOKEN, Setting
from assise.types.table import KEY_KINDS, KINDS, find_codec

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by tools/references.py from the code. -->"
CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, AssiseError)
}


def write_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = []
    for line in [heads, ["---"] * len(heads), *rows]:
        cells = [f" {cell}".replace("|", r"\|") for cell in line]
        lines.append("|" + " |".join(cells).replace("  |", " |") + " |")
    return "\n".join(lines).replace("|  |", "| |")


def code(text: object) -> str:
    return f"`{text}`"


def escape(text: str) -> str:
    """Escape Markdown's own characters outside of code spans."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"([\\*_<\[])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


# Commands


def describe_option(option: Any) -> list[str]:  # noqa: ANN401 - click's own class is private
    default, words = option.default, option.help
    if isinstance(default, Enum):
        words += f" One of {', '.join(code(choice.value) for choice in type(default))}."
        default = default.value
    is_shown = default is not None and not isinstance(default, bool)
    is_argument = option.param_type_name == "argument"
    names = code(option.name.upper()) if is_argument else ", ".join(map(code, option.opts))
    return [names, words, code(default) if is_shown else "wanted" if option.required else ""]


def describe_command(name: str, command: Any) -> str:  # noqa: ANN401
    usage = f"assise {name} [OPTIONS]"
    for each in command.params:
        if each.param_type_name == "argument":
            usage += f" {each.name.upper()}" if each.required else f" [{each.name.upper()}]"
    examples = [line.strip() for line in command.epilog.splitlines()[2:]]
    options = [describe_option(option) for option in command.params if option.name != "help"]
    ends_with_3 = re.search(r"\.exit_code|return 3", inspect.getsource(command.callback))
    return "\n\n".join(
        [
            f"## assise {name}",
            " ".join(command.help.split()),
            f"```text\n{usage}\n```",
            write_table(["option", "what it is", "default"], options),
            "\n".join(["Examples:\n\n```text", *examples, "```"]),
            f"Exit codes: 0, 1, 2{', 3' if ends_with_3 else ''}.",
        ]
    )


def write_commands() -> str:
    stopped = "stopped by Ctrl-C; the same command continues where it stopped"
    codes = re.findall(r"(\d) (.+?)(?=, \d|\.$)", inspect.getdoc(cli.main) or "")
    return "\n\n".join(
        [
            "# Commands",
            (
                "Data go to stdout, log and errors to stderr. `assise --version` prints the "
                "version and whether documents go through assise-native, `--help` behind any command its help."
            ),
            "## Exit codes",
            write_table(["code", "when"], [*codes, (str(EXIT_STOPPED), stopped)]),
            *(describe_command(name, command) for name, command in list_commands()),
        ]
    )


# Settings

HOW_TO_SET = """Settings change nothing in the result and do not stand in the manifest. The option
comes before the environment, the environment before the default; Python gives them by name:
`Project(settings={"load.chunk_bytes": 1048576})`."""


def describe_setting(setting: Setting[Any]) -> str:
    users = [
        code(f"assise {name}")
        for name, command in list_commands()
        if any(setting.option in each.opts for each in command.params)
    ]
    rows = [
        ["option", f"{code(setting.option)} of {', '.join(users)}"]
        if users
        else ["given to", code(f'App(settings={{"{setting.name}": …}})')],
        ["environment", code(setting.variable)],
        ["default", code(setting.default)],
        ["value", setting.allowed],
    ]
    text = f"{capitalize(setting.help)}: `{setting.name}`."
    return f"## {setting.name}\n\n{text}\n\n{write_table(['given as', ''], rows)}"


def write_settings() -> str:
    own = """libpq's own variables (`PGPASSWORD`, `PGSSLMODE`, …) hold for every connection to a
server of yours."""
    return "\n\n".join(
        [
            "# Settings",
            HOW_TO_SET,
            own,
            *map(describe_setting, SETTINGS),
            describe_setting(SECRET),
            describe_setting(TOKEN),
        ]
    )


# Manifest

SAMPLES: tuple[tuple[str, object], ...] = (
    ("an ObjectId", ObjectId("507f1f77bcf86cd799439011")),
    ("`'Zoé'`", "Zoé"),
    ("a string with NUL", "a\0b"),
    ("a string that is not UTF-8", b"\xe9"),
    ("`true`", True),
    ("int32 `7`", 7),
    ("int64 `7`", Int64(7)),
    ("int64 `3000000000`", Int64(3_000_000_000)),
    ("double `9.99`", 9.99),
    ("double `10.0`", 10.0),
    ("`-0.0`", -0.0),
    ("`NaN`", float("nan")),
    ("`Infinity`", float("inf")),
    ("Decimal128 `1.50`", Decimal128("1.50")),
    ("Decimal128 `NaN`", Decimal128("NaN")),
    ("Decimal128 `1E+3`", Decimal128("1E+3")),
    ("Decimal128 `-0`", Decimal128("-0")),
    ("`2024-01-31`", DatetimeMS(1_706_659_200_000)),
    ("the first moment of 4714-11-24 BC", DatetimeMS(-210_866_803_200_000)),
    ("the year 292278994", DatetimeMS((1 << 63) - 1)),
    ("binary, subtype 0", Binary(b"abc", 0)),
    ("subtype 3, 16 bytes", Binary(bytes(16), 3)),
    ("subtype 4, 16 bytes", Binary(bytes(16), 4)),
    ("subtype 4, 3 bytes", Binary(b"abc", 4)),
    ("`'7'`", "7"),
    ("`'19.90'`", "19.90"),
    ("`'true'`", "true"),
    ("`'2024-01-31'`", "2024-01-31"),
    ("`'2024-01-31T10:00:00Z'`", "2024-01-31T10:00:00Z"),
    ("`'2024-01-31T10:00:00.500+01:00'`", "2024-01-31T10:00:00.500+01:00"),
    ("24 hex digits", "507f1f77bcf86cd799439011"),
    ("the text of a UUID", "c0a80101-1234-5678-9abc-def012345678"),
)
FITS = """A value of the column's kind stands in the column alone. A value that is read stands there too, typed, and its
original in `_extra` beside it, unless the cell gives it back exactly. Any other value leaves NULL in the column and stands in
`_extra`. A kind that a row does not name is neither. The samples are tried on the code itself; the exact rules:
[what fits a column](../decisions/0004-what-fits-a-column.md), [readings](../decisions/0042-readings.md)."""
MODIFIERS = """With a modifier: `varchar(20)` counts characters, `numeric(10,2)` and `timestamptz(3)` hold what loses no digit there.
PostgreSQL's other names (`integer`, `bigint`, `timestamp with time zone`) are read, and written in one form. `citext` is an
extension: it is made in the schema of the tables, and `undo` leaves it there; it is no key and has no arrays."""
NAMED_KINDS = """Ids that name their collection: kind `pointer(Class)` holds texts such as `Class$507f1f77bcf86cd799439011`,
kind `dbref(users)` holds DBRefs; both in columns of `uuid`, text and ints."""
ALWAYS = {
    "every": "everything but null",
    "any": "every `_id`",
    "offset": "the document's place in the source; no field is read",
}


def try_samples(column_type: str, kind: str) -> tuple[str, str, str]:
    """The samples at home in such a column, those that it reads, and others of these kinds."""
    codec = find_codec(column_type, kind)
    fits: list[str] = []
    read: list[str] = []
    others: list[str] = []
    for shown, value in SAMPLES:
        # bytes are the text of a string that pymongo would not write
        raw = bson.encode({"v": "x" if type(value) is bytes else value})
        raw = raw.replace(b"x", value) if type(value) is bytes else raw
        if codec.takes(raw[4]):
            field, _, is_home = codec.hold(raw[4])(raw, 7)
            if field is not None:
                (fits if is_home else read).append(shown)
            elif raw[4] in codec.encode:
                others.append(shown)
    return "; ".join(fits), "; ".join(read), "; ".join(others)


def describe_types() -> Iterator[list[str]]:
    for column_type, kinds in KINDS.items():
        for kind in kinds:
            is_one_of_many = kind.startswith("binary_") and kind != kinds[4]
            if column_type.endswith("[]") or is_one_of_many:
                continue
            always = ALWAYS.get(kind, ""), "", ""
            fits, read, others = always if kind in ALWAYS else try_samples(column_type, kind)
            name = code(kind)
            if kind.startswith("binary_"):
                name = f"{code(kinds[1])} to {code(kinds[-1])}; here {name}"
            name += ", default" if kind == kinds[0] and len(kinds) > 1 else ""
            name += ", keys only" if kind in KEY_KINDS else ""
            yield [code(column_type), name, fits, read, others]


def describe_keys(where: str) -> str:
    rows = [
        [code(row.key), row.type, escape(row.help), row.default, row.affects]
        for row in list_keys()
        if row.where == where
    ]
    return write_table(["key", "type", "what it is", "default", "a change affects"], rows)


AFFECTS = """The last column says what a change asks for. *rows*: the rows depend on the key, so `assise undo` comes first.
*schema*: `assise migrate` changes the tables in place. *nothing*: the next command reads it."""
VARIABLES = """`${VAR}` and `${VAR:-default}` in values are replaced by environment variables when the file is read, in `postgres` when a command
connects. Keys are taken as they are. What a variable holds is text, whatever YAML would make of it, and no error shows it.
A literal `${` is written `$${`."""


def write_manifest() -> str:
    arrays = ", ".join(code(name) for name in KINDS if name.endswith("[]"))
    limits = [
        ["columns of a table, with its key and `_extra`", f"{columns.MAX_COLUMNS:,}"],
        ["columns of a key, that is levels of child tables", str(primary_keys.MAX_KEY_COLUMNS)],
        ["bytes of a name", str(names.MAX_NAME_BYTES)],
        ["keys of a path", str(paths.MAX_KEYS)],
        ["characters of a comment", f"{comments.MAX_COMMENT:,}"],
    ]
    return "\n\n".join(
        [
            "# Keys and types of the manifest",
            "What the manifest is for, paths, and which key to choose: [the manifest](../manifest.md). A key that is not on this page is an error.",
            AFFECTS,
            VARIABLES,
            "## At the top",
            describe_keys("manifest"),
            "## Of a table",
            describe_keys("table"),
            "## Of a column",
            describe_keys("column"),
            "A column that has only a type may be written as that: `email: text`.",
            "## Types, kinds, and what fits",
            FITS,
            write_table(
                ["type", "kind", "fits", "is read", "does neither"], list(describe_types())
            ),
            f"Arrays: {arrays}, with the kinds of their elements but `any` and `offset`.",
            (
                "An array fits when every element is null or fits; `[]` fits. It is read when some "
                "elements are; one value is read as an array of one."
            ),
            MODIFIERS,
            NAMED_KINDS,
            (
                "`uuid_java`, `uuid_csharp` and `uuid_python` say in which byte order the driver "
                "of that language has written subtype 3."
            ),
            "## Limits",
            write_table(["of", "at most"], limits),
        ]
    )


# Python


def describe_call(function: Any) -> str:  # noqa: ANN401 - a function of any signature
    """Write a signature as it stands in the source, where annotations are text."""
    given = [
        each for name, each in inspect.signature(function).parameters.items() if name != "self"
    ]
    shown = []
    for each in given:
        if each.kind is each.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        default = getattr(each.default, "__name__", repr(each.default))
        more = "" if each.default is each.empty else f" = {default}"
        shown.append(f"{each.name}: {each.annotation}{more}")
    return f"({', '.join(shown)})"


def describe_member(name: str, member: Any) -> str:  # noqa: ANN401
    """Write how a method or a property is used, and its docstring with the errors as a list."""
    is_property = isinstance(member, property)
    function: Any = member.fget if is_property else member
    call = ":" if is_property else f"{describe_call(function)} ->"
    usage = f"{name}{call} {inspect.signature(function).return_annotation}"
    return f"## {name}\n\n```text\n{usage}\n```\n\n{list_sections(inspect.getdoc(member) or '')}"


def list_sections(text: str) -> str:
    """Make lists of the sections Args and Raises; a class of errors is a link to its page."""
    text = re.sub(r"^(Args|Raises):\n", r"\1:\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^ {8}(?=\S)", "  ", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4}(?=\S)", "* ", text, flags=re.MULTILINE)
    known = rf"\b({'|'.join(CLASSES)})\b"
    return re.sub(known, lambda found: f"[{found[1]}](errors.md#{found[1].lower()})", text)


def write_python() -> str:
    first, _, rest = (inspect.getdoc(Project) or "").partition("\n\n")
    members = {name: each for name, each in vars(Project).items() if not name.startswith("_")}
    return "\n\n".join(
        [
            "# Project",
            (
                f"`assise.Project`: {first[:1].lower()}{first[1:]} "
                "How to use it: [from Python](../how-to/python.md)."
            ),
            f"```text\nProject{describe_call(Project.__init__)}\n```",
            list_sections("Args:" + rest.rpartition("Args:")[2]),
            *(describe_member(name, each) for name, each in members.items()),
        ]
    )


# Errors


def write_errors() -> str:
    tree = (errors.__doc__ or "").partition("\n\n")[2].strip()
    parts = [
        "# Errors",
        """What happened, which value, and on the next line what to do; lines with `because:` name
the causes. In Python they are classes of `assise.errors`, with `message`, `remedy` and `exit_code`.""",
        f"```text\n{tree}\n```",
    ]
    for name, found in CLASSES.items():
        parts += [f"## {name}", inspect.getdoc(found) or "", f"Exit code {found.exit_code}."]
    return "\n\n".join(parts)


PAGES = {
    "commands": write_commands,
    "manifest": write_manifest,
    "settings": write_settings,
    "python": write_python,
    "errors": write_errors,
}


def main() -> None:
    stale = []
    for name, write in PAGES.items():
        path, text = FOLDER / f"{name}.md", f"{MADE}\n\n{write()}\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    found = ", ".join(stale)
    if stale and "--check" in sys.argv:
        sys.exit(f"{found}: not what the code says; write them with: python tools/references.py")
    print(f"ok    docs/reference {f'written: {found}' if stale else 'as committed'}")


if __name__ == "__main__":
    main()
