"""Print the project's figures beside their budgets. A breach is a signal, not a failure."""

from __future__ import annotations

import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
STARTS = 5
TIMED = "import time; t = time.perf_counter(); import assise; print(time.perf_counter() - t)"


@dataclass(frozen=True)
class Module:
    """One parsed file: its lines without blanks, comments and docstrings are code."""

    name: str
    text: str
    tree: ast.Module
    lines: int
    comments: int
    code: int


@dataclass(frozen=True)
class Figure:
    """A measured value between its bounds, and the place that has it."""

    name: str
    value: float
    most: float
    least: float = 0
    place: str = ""

    def __str__(self) -> str:
        verdict = "OVER" if self.value > self.most else "UNDER" if self.value < self.least else "ok"
        budget = f"{self.least:g} to {self.most:g}" if self.least else f"{self.most:g}"
        return f"{verdict:<5} {self.name:<38} {self.value:>7g}  {budget:<10} {self.place}".rstrip()


def parse_module(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    rows = text.splitlines()
    filled = {number for number, row in enumerate(rows, 1) if row.strip()}
    comments = set(find_comments(text, rows))
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("src.")
    return Module(
        name,
        text,
        tree,
        lines=len(rows),
        comments=len(comments),
        code=len(filled - comments - set(find_docstrings(tree))),
    )


def find_comments(text: str, rows: list[str]) -> Iterator[int]:
    """The numbers of the lines that are comments and nothing else."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and rows[token.start[0] - 1].lstrip().startswith("#"):
            yield token.start[0]


def find_docstrings(tree: ast.Module) -> Iterator[int]:
    """The numbers of the lines of docstrings."""
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS))
            and ast.get_docstring(node, clean=False) is not None
        ):
            yield from range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


def parse_folder(folder: str) -> list[Module]:
    return [parse_module(path) for path in sorted((ROOT / folder).rglob("*.py"))]


def measure_sizes(
    name: str, sizes: list[tuple[int, str]], *, median: int, p90: int, most: int
) -> Iterator[Figure]:
    ordered = sorted(sizes) or [(0, "")]
    numbers = [size for size, _ in ordered]
    yield Figure(f"{name}, median", statistics.median(numbers), median)
    yield Figure(f"{name}, p90", numbers[int(len(numbers) * 0.9)], p90)
    yield Figure(f"{name}, max", numbers[-1], most, place=ordered[-1][1])


def list_functions(
    modules: list[Module],
) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (f"{m.name}.{node.name}", node)
        for m in modules
        for node in ast.walk(m.tree)
        if isinstance(node, FUNCTIONS)
    ]


def count_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """All parameters, and those of them that may be given by position; self and cls count for nothing."""
    positional = [
        a for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")
    ]
    return len(positional) + len(node.args.kwonlyargs), len(positional)


def list_public(modules: list[Module]) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Functions and methods that other modules may call: no leading underscore, not nested in a function."""
    classes = [
        (m.name, node.body)
        for m in modules
        for node in m.tree.body
        if isinstance(node, ast.ClassDef)
    ]
    bodies = [(m.name, m.tree.body) for m in modules] + classes
    return [
        (f"{name}.{node.name}", node)
        for name, body in bodies
        for node in body
        if isinstance(node, FUNCTIONS) and node.name[0] != "_"
    ]


def measure_classes(modules: list[Module]) -> Iterator[Figure]:
    """The most methods, and the longest chain of our own base classes, errors apart."""
    classes = {
        node.name: node
        for m in modules
        for node in ast.walk(m.tree)
        if isinstance(node, ast.ClassDef)
    }

    def depth(name: str) -> int:
        bases = [
            base.id
            for base in classes[name].bases
            if isinstance(base, ast.Name) and base.id in classes
        ]
        return 1 + max(map(depth, bases), default=0)

    most, largest = max(
        (sum(isinstance(inner, FUNCTIONS) for inner in node.body), name)
        for name, node in classes.items()
    )
    deepest, lowest = max((depth(name), name) for name in classes if not name.endswith("Error"))
    yield Figure("methods of a class, max", most, 25, place=largest)
    yield Figure("class depth, max", deepest, 2, place=lowest)


def find_cycle(modules: list[Module]) -> list[str]:
    """Modules that import each other in a circle, imports for types alone left out."""
    names = {m.name for m in modules}
    graph = {
        m.name: {
            node.module
            for node in m.tree.body
            if isinstance(node, ast.ImportFrom) and node.module in names
        }
        for m in modules
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])[1:]
    return []


def count_annotated(functions: list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]) -> int:
    """Percent of the functions whose parameters and result have types."""
    arguments = [(f, [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs]) for _, f in functions]
    whole = [
        f
        for f, given in arguments
        if f.returns and all(a.annotation or a.arg in ("self", "cls") for a in given)
    ]
    return 100 * len(whole) // len(functions)


def swallows(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.ExceptHandler)
        and is_wide(node)
        and all(isinstance(each, ast.Pass | ast.Continue | ast.Return) for each in node.body)
    )


def is_wide(node: ast.AST) -> bool:
    return isinstance(node, ast.ExceptHandler) and (
        node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
    )


def measure_text(modules: list[Module], code: int) -> Iterator[Figure]:
    nodes = [node for m in modules for node in ast.walk(m.tree)]
    anys = sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes)
    ignores = sum(len(re.findall(r"#\s*type:\s*ignore", m.text)) for m in modules)
    yield Figure("wide excepts", sum(map(is_wide, nodes)), 5)
    yield Figure("wide excepts that swallow", sum(map(swallows, nodes)), 0)
    yield Figure("Any per 1,000 lines", round(1000 * anys / code, 1), 10)
    yield Figure("type: ignore per 1,000 lines", round(1000 * ignores / code, 1), 1)
    yield Figure(
        "comment lines per 100", round(100 * sum(m.comments for m in modules) / code, 1), 6
    )


def time_import() -> float:
    """Seconds that `import assise` takes in a fresh interpreter, the best of a few starts."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", TIMED], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(STARTS)
    ]
    return round(min(map(float, runs)), 3)


def measure() -> Iterator[Figure]:
    modules, tests = parse_folder("src/assise"), parse_folder("tests")
    code = sum(m.code for m in modules)
    functions = list_functions(modules)
    most, widest = max(
        ((count_parameters(node)[0], name) for name, node in functions), default=(0, "")
    )
    loose = [name for name, node in list_public(modules) if count_parameters(node)[1] > 2]
    yield from measure_sizes(
        "module lines",
        [(m.lines, m.name) for m in modules if m.code],
        median=140,
        p90=350,
        most=600,
    )
    yield from measure_sizes(
        "function lines",
        [((f.end_lineno or 0) - f.lineno + 1, name) for name, f in functions],
        median=10,
        p90=32,
        most=80,
    )
    yield Figure("parameters, max", most, 8, place=widest)
    yield Figure("public functions, over 2 by position", len(loose), 0, place=", ".join(loose[:3]))
    yield from measure_classes(modules)
    yield Figure(
        "modules in a cycle of imports",
        len(cycle := find_cycle(modules)),
        0,
        place=", ".join(cycle),
    )
    yield Figure("annotated functions, %", count_annotated(functions), 100, least=100)
    yield from measure_text(modules, code)
    yield Figure("test code / code", round(sum(m.code for m in tests) / code, 2), 2.0, least=1.2)
    mocks = sum(
        len(re.findall(r"\bmocker\.|MagicMock|AsyncMock|\bpatch\(|mock\.", m.text)) for m in tests
    )
    yield Figure(
        "mocks per 1,000 test lines", round(1000 * mocks / sum(m.code for m in tests), 1), 1
    )
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "dependencies"
    ]
    yield Figure("hard dependencies", len(dependencies), 10)
    yield Figure(
        "files in the root",
        sum(path.is_file() and path.name != ".git" for path in ROOT.iterdir()),
        14,
    )
    yield Figure("import assise, seconds", time_import(), 0.4)


if __name__ == "__main__":
    for figure in measure():
        print(figure)
