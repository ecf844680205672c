"""Write docs/reference from the code: commands, manifest, settings, Project, errors. `--check` writes nothing and fails where a page is another."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import bson
import typer.main
from bson import Binary, Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS

from assise import cli, errors
from assise.cli import commands
from assise.errors import AssiseError
from assise.manifest import names, paths
from assise.manifest.reference import list_keys
from assise.manifest.sections import columns, comments, primary_keys
from assise.manifest.types import KEY_KINDS, KINDS
from assise.project import Project
from assise.rows.cells import rule
from assise.settings import SETTINGS, Setting

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by tools/references.py from the code. -->"


CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, AssiseError)
}


def write_table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |".replace(
            "|  |", "| |"
        )
        for line in lines
    )


def code(text: object) -> str:
    return f"`{text}`"


# Commands

Command = Any
"""typer's own copy of click has no public names."""


def list_commands() -> Iterator[tuple[str, Command]]:
    """Every command by the words that call it, in the order of the help."""
    for name, command in typer.main.get_command(commands.app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {verb}", each) for verb, each in inner.items())


def describe_option(option: Command) -> list[str]:
    is_choice = isinstance(option.default, Enum)
    choices = ", ".join(code(choice.value) for choice in type(option.default)) if is_choice else ""
    given = option.default.value if is_choice else option.default
    is_shown = option.default is not None and not isinstance(option.default, bool)
    words = option.help + (f" One of {choices}." if choices else "")
    name = option.name.upper() if option.param_type_name == "argument" else ""
    return [
        code(name) if name else ", ".join(map(code, option.opts)),
        words,
        code(given) if is_shown else "wanted" if option.required else "",
    ]


def describe_command(name: str, command: Command) -> str:
    arguments = [option for option in command.params if option.param_type_name == "argument"]
    usage = " ".join(
        [
            f"assise {name} [OPTIONS]",
            *(
                each.name.upper() if each.required else f"[{each.name.upper()}]"
                for each in arguments
            ),
        ]
    )
    examples = "\n".join(
        line.strip() for line in command.epilog.partition("Examples:\n")[2].splitlines()
    )
    options = [describe_option(option) for option in command.params if option.name != "help"]
    ends_with_3 = re.search(r"\.exit_code|return 3", inspect.getsource(command.callback))
    return "\n\n".join(
        [
            f"## assise {name}",
            command.help,
            f"```text\n{usage}\n```",
            write_table(["option", "what it is", "default"], options),
            f"Examples:\n\n```text\n{examples}\n```",
            f"Exit codes: 0, 1, 2{', 3' if ends_with_3 else ''}.",
        ]
    )


def write_commands() -> str:
    codes = re.findall(r"(\d) (.+?)(?=, \d|\.$)", cli.main.__doc__ or "")
    rows = [[number, words] for number, words in codes]
    rows.append(
        [str(commands.EXIT_STOPPED), "stopped by Ctrl-C; the same command goes on where it stopped"]
    )
    head = "# Commands\n\nData go to stdout, log and errors to stderr. `assise --version` prints the version, `--help` behind any command its help."
    return "\n\n".join(
        [
            head,
            "## Exit codes",
            write_table(["code", "when"], rows),
            *(describe_command(name, command) for name, command in list_commands()),
        ]
    )


# Settings


HOW_TO_SET = f"""Settings change nothing in the result and do not stand in the manifest. The option comes before the environment, the environment
before the default; Python gives them by name: `Project(settings={{"{SETTINGS[0].name}": {1 << 20}}})`."""


def describe_setting(setting: Setting) -> str:
    option = setting.option
    users = [
        code(f"assise {name}")
        for name, command in list_commands()
        if any(option in each.opts for each in command.params)
    ]
    rows = [
        ["option", f"{code(option)} of {', '.join(users)}"],
        ["environment", code(setting.variable)],
        ["default", code(setting.default)],
        ["from, to", f"{setting.minimum:,} to {setting.maximum:,}"],
    ]
    return f"## {setting.name}\n\n{setting.help[:1].upper()}{setting.help[1:]}: `{setting.name}`.\n\n{write_table(['given as', ''], rows)}"


def write_settings() -> str:
    own = "libpq's own variables (`PGPASSWORD`, `PGSSLMODE`, …) hold for every connection to a server of yours."
    return "\n\n".join(["# Settings", HOW_TO_SET, own, *map(describe_setting, SETTINGS)])


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
)
FITS = """A value that fits stands in the column; any other leaves NULL there and stands in `_extra`, exactly as it was. Values of a BSON kind that a
row does not name never fit. The samples are tried on the code itself; the exact rules: [architecture](../architecture.md#what-fits-a-column)."""
ALWAYS = {
    "every": "everything but null",
    "any": "every `_id`",
    "offset": "the document's place in the source; no field is read",
}


def encode_sample(value: object) -> bytes:
    """A document with the value under the key v; bytes stand for a string that pymongo would not write."""
    return (
        bson.encode({"v": "x"}).replace(b"x", value)
        if type(value) is bytes
        else bson.encode({"v": value})
    )


def try_samples(column_type: str, kind: str) -> tuple[str, str]:
    """The samples that the code lets into such a column, and those of the same BSON kinds that it does not."""
    encoders, _ = rule(column_type, kind)
    fits: list[str] = []
    others: list[str] = []
    for shown, value in SAMPLES:
        raw = encode_sample(value)
        encode = encoders.get(raw[4])
        if encode is not None:
            (fits if encode(raw, 7)[0] is not None else others).append(shown)
    return "; ".join(fits), "; ".join(others)


def describe_types() -> Iterator[list[str]]:
    for column_type, kinds in KINDS.items():
        if column_type.endswith("[]"):
            continue
        for kind in kinds:
            if re.fullmatch(r"binary_\d+", kind) and kind != kinds[4]:
                continue
            fits, others = (ALWAYS[kind], "") if kind in ALWAYS else try_samples(column_type, kind)
            named = (
                f"{code(kinds[1])} to {code(kinds[-1])}; here {code(kind)}"
                if kind == kinds[0] + "_4"
                else code(kind)
            )
            yield [
                code(column_type),
                named
                + ", default" * (kind == kinds[0] and len(kinds) > 1)
                + ", keys only" * (kind in KEY_KINDS),
                fits,
                others,
            ]


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
            write_table(["type", "kind", "fits", "does not fit"], list(describe_types())),
            f"Arrays: {arrays}, with the kinds of their elements but `any` and `offset`.",
            "An array fits when every element is null or fits; `[]` fits.",
            "`uuid_java`, `uuid_csharp` and `uuid_python` say in which byte order the driver of that language has written subtype 3.",
            "## Limits",
            write_table(["of", "at most"], limits),
        ]
    )


# Python


def describe_method(method: ast.FunctionDef) -> str:
    """A public method: how it is called, and its docstring with the errors as a list."""
    is_property = any(
        isinstance(each, ast.Name) and each.id == "property" for each in method.decorator_list
    )
    call = f"{method.name}:" if is_property else f"{method.name}({list_arguments(method)}) ->"
    returns = ast.unparse(method.returns) if method.returns else ""
    return f"## {method.name}\n\n```text\n{call} {returns}\n```\n\n{list_sections(ast.get_docstring(method) or '')}"


def list_arguments(method: ast.FunctionDef) -> str:
    return re.sub(
        "(?<=[^ ])=(?=[^ ])",
        " = ",
        ast.unparse(method.args).removeprefix("self").removeprefix(", "),
    )


def list_sections(text: str) -> str:
    """A docstring whose sections Args and Raises are lists; a class of errors is a link to its messages."""
    text = re.sub(r"^(Args|Raises):\n", r"\1:\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4}(?=\S)", "* ", text, flags=re.MULTILINE)
    return re.sub(
        r"\b(\w+Error)\b",
        lambda found: (
            f"[{found[1]}](errors.md#{found[1].lower()})" if found[1] in CLASSES else found[1]
        ),
        text,
    )


def write_python() -> str:
    tree = ast.parse(Path(inspect.getfile(Project)).read_text(encoding="utf-8"))
    found = next(
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == Project.__name__
    )
    methods = [
        node
        for node in found.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    first, _, rest = (ast.get_docstring(found) or "").partition("\n\n")
    init = next(
        node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    call = f"Project({list_arguments(init)})"
    arguments = list_sections("Args:" + rest.rpartition("Args:")[2])
    head = f"# Project\n\n`assise.Project`: {first[:1].lower()}{first[1:]} How to use it: [from Python](../how-to/python.md)."
    return "\n\n".join([head, f"```text\n{call}\n```", arguments, *map(describe_method, methods)])


# Errors

WORDS = {
    "_words": "what the server says",
    "nearest": "Did you mean …? Known: …",
    "needed": "N are needed: the key, then the position at each level",
    "how": "has grown, differs or ends too early",
    "question": "what would be done",
    "afresh": "`assise undo` drops what was loaded; then `assise load FOLDER` loads again.",
    "strerror": "why",
    "help": "what it is",
    "variable": "VARIABLE",
    "existing": "TABLES",
    "who": "USER",
    "in_all": "N",
    "offset": "N",
    "server_version": "N",
    "len": "N",
    "read": "N",
    "raw[p]": "N",
    "self.lines[inner]": "N",
    "error.args[0]": "N",
    "KINDS[kind]": "KIND",
    "'; '.join(lines)": "TABLES AND EDITS",
    "os.fsdecode(done.stdout)": "FOLDER",
    "last_lines(done.stdout)": "its last lines",
    "last_lines(written.read())": "the last lines of its log",
    "error.diag.message_detail or ''": "what depends on it",
    "missing.upper()[:2]": "ON",
    "missing[2:]": "",
}
"""What is shown for an expression in a message, or for its name; of others the name in capitals."""

PARTS = {
    "cli": "On the command line", "settings": "Settings and variables", "project": "Of a project", "manifest.nodes": "The YAML text",
    "manifest.read": "The file and its keys", "manifest.paths": "Paths", "manifest": "Tables and columns", "mongo": "Reading the source",
    "postgres.connection": "Connecting", "postgres": "The embedded server", "transfer.ledger": "The target before and after a load",
    "transfer.load": "Loading", "transfer.verify": "Verifying", "transfer.undo": "Undoing",
    "transfer.repair": "Repairing", "transfer.export": "Exporting",
    "transfer": "Chunks and workers",
    "infer": "Inferring", "rows": "Rows into documents", "documents": "Bytes and texts",
}  # fmt: skip
"""Modules, or packages -> the heading of their messages, in this order."""


Assigned = tuple[ast.expr, int | None]


@dataclass(frozen=True)
class Message:
    """What a user reads, and what to do."""

    part: str
    key: str
    text: str
    remedy: str


@dataclass
class Module:
    """A module of the package, and the function whose names are looked up."""

    name: str
    tree: ast.Module
    functions: Mapping[str, ast.FunctionDef]
    function: ast.FunctionDef | None = None
    call: ast.Call | None = None

    @property
    def part(self) -> str:
        return PARTS.get(self.name) or PARTS[self.name.partition(".")[0]]

    def find_values(self, name: str) -> list[Assigned]:
        """What a name of the function is at the call: its value, and its place where several are assigned at once.

        The last assignment in a block around the call is meant, and those that a branch may put in its place; without one all of the function's.
        """
        found: list[Assigned] = []
        last: list[Assigned] = []
        for node in ast.walk(self.function) if self.function else ():
            for block in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
                before: list[Assigned] = []
                is_sure = False
                for statement in block if isinstance(block, list) else ():
                    if (
                        is_sure
                        and self.call
                        and statement.lineno <= self.call.lineno <= statement.end_lineno
                    ):
                        last = before
                    direct = list(find_assigned(statement, name))
                    found += direct
                    is_sure = is_sure or bool(direct)
                    before = direct[-1:] or [
                        *before,
                        *(
                            each
                            for inner in ast.walk(statement)
                            for each in find_assigned(inner, name)
                        ),
                    ]
        return last or found

    def constant(self, name: str) -> object:
        return getattr(import_module(f"assise.{self.name}"), name, None)

    def spell(self, node: ast.expr) -> list[str]:
        """The texts that an expression may have."""
        match node:
            case ast.Constant():
                return [str(node.value)]
            case ast.JoinedStr():
                return ["".join(parts) for parts in product(*map(self._spell_part, node.values))]
            case ast.BinOp(op=ast.Add()):
                return [
                    left + right
                    for left in self.spell(node.left)
                    for right in self.spell(node.right)
                ]
            case ast.IfExp():
                return [*self.spell(node.body), *self.spell(node.orelse)]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                name in self.functions and name not in WORDS
            ):
                function = self.functions[name]
                inner = Module(self.name, self.tree, self.functions, function)
                returned = [
                    each.value
                    for each in ast.walk(function)
                    if isinstance(each, ast.Return) and each.value
                ]
                return [text for value in returned for text in inner.spell(value)]
            case ast.Call(func=ast.Attribute(attr="get", value=ast.Name(id=name))) if isinstance(
                known := self.constant(name), dict
            ):
                return [str(text) for text in known.values()]
            case ast.Name(id=name):
                return self._spell_name(name) or [name_of(node)]
        return [name_of(node)]

    def _spell_part(self, node: ast.expr) -> list[str]:
        if not isinstance(node, ast.FormattedValue):
            return self.spell(node)
        inner = node.value
        if isinstance(inner, ast.IfExp) and "" in (texts := self.spell(inner)):
            return [""] if "…" in "".join(texts) else texts
        if isinstance(inner, ast.Name) and inner.id in WORDS:
            return [WORDS[inner.id]]
        if isinstance(inner, ast.Call) and (known := self.joined(inner)):
            return [known]
        is_plain = isinstance(inner, ast.Name | ast.IfExp)
        found = self.spell(inner) if is_plain else [self._spell_number(inner) or name_of(inner)]
        return [f"'{text}'" if node.conversion == ord("r") else text for text in found]

    def spell_keys(self, node: ast.expr | None) -> list[str]:
        """The keys of the constant table that a text is looked up in."""
        match node:
            case ast.Call(func=ast.Attribute(attr="get", value=ast.Name(id=name))):
                return list(known) if isinstance(known := self.constant(name), dict) else []
        return []

    def joined(self, call: ast.Call) -> str | None:
        """A constant tuple of words, joined."""
        match call:
            case ast.Call(
                func=ast.Attribute(attr="join", value=ast.Constant(value=str(mark))),
                args=[ast.Name(id=name)],
            ):
                words = self.constant(name)
                return mark.join(words) if isinstance(words, tuple | dict) else None
        return None

    def _spell_number(self, node: ast.expr) -> str:
        """A sum of constants."""
        names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        known = {name: value for name in names if isinstance(value := self.constant(name), int)}
        if not names or len(known) != len(set(names)):
            return ""
        return f"{eval(ast.unparse(node), known):,}"  # noqa: S307

    def _spell_name(self, name: str) -> list[str]:
        texts: list[str] = []
        for value, place in self.find_values(name):
            match value:
                case ast.Call(func=ast.Attribute(attr="get", value=ast.Name(id=table))) if (
                    place is not None
                ):
                    known = self.constant(table)
                    texts += (
                        [str(row[place]) for row in known.values()]
                        if isinstance(known, dict)
                        else []
                    )
                case (
                    ast.Constant()
                    | ast.JoinedStr()
                    | ast.IfExp(body=ast.Constant() | ast.JoinedStr())
                ) if place is None:
                    texts += self.spell(value)
        constant = self.constant(name)
        return texts or (
            [f"{constant:,}" if isinstance(constant, int) else constant]
            if isinstance(constant, int | str)
            else []
        )


def find_assigned(statement: ast.AST, name: str) -> Iterator[Assigned]:
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id == name:
            yield statement.value, None
        elif isinstance(target, ast.Tuple):
            yield from (
                (statement.value, i)
                for i, each in enumerate(target.elts)
                if isinstance(each, ast.Name) and each.id == name
            )


def name_of(node: ast.expr) -> str:
    """A word for what an expression puts into a message."""
    known = WORDS.get(ast.unparse(node))
    match node:
        case _ if known is not None:
            return known
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return WORDS.get(name) or name.strip("_").upper()
        case ast.Call(func=ast.Name(id=name)) if name in WORDS:
            return WORDS[name]
        case ast.Call(func=ast.Attribute(value=value), args=[]):
            return name_of(value)
        case (
            ast.Call(args=[value, *_])
            | ast.Subscript(value=value)
            | ast.BinOp(left=value)
            | ast.BoolOp(values=[*_, value])
        ):
            return name_of(value)
        case ast.GeneratorExp(elt=value):
            return name_of(value)
    return "…"


def key_of(module: Module, node: ast.expr) -> str:
    """The key of the manifest that a place ends in, as far as the code names it."""
    if isinstance(node, ast.Name):
        return next(
            (key for value, _ in module.find_values(node.id) if (key := key_of(module, value))), ""
        )
    last = node.elts[-1] if isinstance(node, ast.Tuple) and node.elts else None
    return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else ""


def read_messages(module: Module, call: ast.Call, *, is_problem: bool) -> Iterator[Message]:
    """The messages of one error, or of one problem of a manifest."""
    if not call.args:
        return
    named = {word.arg: word.value for word in call.keywords}
    remedy = named.get("remedy") or (call.args[3] if is_problem and len(call.args) > 3 else None)
    key = key_of(module, call.args[0]) if is_problem else ""
    texts = module.spell(call.args[1] if is_problem else call.args[0])
    remedies = module.spell(remedy) if remedy else [""]
    keys = module.spell_keys(remedy) or [key] * len(remedies)
    if len(texts) != len(remedies):
        texts, keys, remedies = (
            [text for text in texts for _ in remedies],
            keys * len(texts),
            remedies * len(texts),
        )
    for text, at, what_to_do in zip(texts, keys, remedies, strict=True):
        if re.search("[a-z]{2}", what_to_do + text.replace(WORDS["_words"], "")):
            yield Message(module.part, at, " ".join(text.split()), what_to_do)


def gives_text(function: ast.FunctionDef) -> bool:
    return isinstance(function.returns, ast.Name) and function.returns.id == "str"


def find_messages() -> dict[str, list[Message]]:
    """The messages of every class of errors, once each."""
    package = Path(errors.__file__).parent
    trees = {
        path.relative_to(package).with_suffix(""): ast.parse(path.read_text())
        for path in sorted(package.rglob("*.py"))
    }
    functions = {
        each.name: each
        for tree in trees.values()
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef) and gives_text(each)
    }
    found: dict[str, list[Message]] = defaultdict(list)
    for path, tree in trees.items():
        module = Module(".".join(path.parts).removesuffix(".__init__"), tree, functions)
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            module.function = function
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and (node.func.id in CLASSES or node.func.id == "Problem")
                ):
                    is_problem, module.call = node.func.id == "Problem", node
                    found["ManifestError" if is_problem else node.func.id] += read_messages(
                        module, node, is_problem=is_problem
                    )
    return {
        name: list({(m.key, m.text, m.remedy): m for m in reversed(messages)}.values())
        for name, messages in found.items()
    }


def escape(text: str) -> str:
    """Markdown's own characters outside of code spans."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<\[])", r"\\\1", part) for part in parts
    )


def describe_error(name: str, messages: list[Message]) -> Iterator[str]:
    found = CLASSES[name]
    yield f"## {name}"
    yield inspect.getdoc(found) or ""
    yield f"Exit code {found.exit_code}."
    by_part: dict[str, list[Message]] = {part: [] for part in PARTS.values()}
    for message in sorted(messages, key=lambda m: (m.key, m.text, m.remedy)):
        by_part[message.part].append(message)
    for part, own in by_part.items():
        if own:
            yield f"### {part}" if len(messages) > len(own) else ""
            columns = {
                "key": [code(m.key) if m.key else "" for m in own],
                "it says": [escape(m.text) for m in own],
                "what to do": [escape(m.remedy) for m in own],
            }
            filled = {head: cells for head, cells in columns.items() if any(cells)}
            yield write_table([*filled], [[*row] for row in zip(*filled.values(), strict=True)])


def write_errors() -> str:
    messages = find_messages()
    tree = (errors.__doc__ or "").partition("\n\n")[2].strip()
    head = """# Errors

What happened, which value, and on the next line what to do; lines with `because:` name the causes. Words in capitals stand for values. In Python
they are classes of `assise.errors`, with `message`, `remedy` and `exit_code`."""
    parts = [
        part
        for name in CLASSES
        if name != "AssiseError" or messages.get(name)
        for part in describe_error(name, messages.get(name, []))
    ]
    return "\n\n".join([head, f"```text\n{tree}\n```", *filter(None, parts)])


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
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.relative_to(ROOT))
        if "--check" not in sys.argv:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(
            f"{', '.join(map(str, stale))}: not what the code says; write them with: python tools/references.py"
        )
    print(
        f"ok    docs/reference {'as committed' if not stale else 'written: ' + ', '.join(map(str, stale))}"
    )


if __name__ == "__main__":
    main()
