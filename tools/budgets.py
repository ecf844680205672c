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
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE_LENGTH, LINE_NODES = 100, 16
TIMED = "import time; t = time.perf_counter(); import assise; print(time.perf_counter() - t)"

Function = ast.FunctionDef | ast.AsyncFunctionDef
WIDE, SILENT = ("Exception", "BaseException"), (ast.Pass, ast.Continue, ast.Return)
LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
MOCK = re.compile(r"\bmocker\.|MagicMock|AsyncMock|\bpatch\(|mock\.")
IGNORE = re.compile(r"#\s*type:\s*ignore")
TYPE_NAME = re.compile(r"[A-Z]\w*[a-z]\w*")


@dataclass(frozen=True)
class Module:
    """One parsed file."""

    name: str
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in self.nodes if isinstance(node, Function)]

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        return [node for node in self.nodes if isinstance(node, ast.ClassDef)]

    @cached_property
    def comments(self) -> set[int]:
        """Numbers of the lines that hold a comment and nothing else."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        marks = [token for token in tokens if token.type == tokenize.COMMENT]
        return {mark.start[0] for mark in marks if mark.line.lstrip().startswith("#")}

    @cached_property
    def code(self) -> int:
        """The number of lines without blanks, comments and docstrings."""
        filled = {number for number, row in enumerate(self.text.splitlines(), 1) if row.strip()}
        for node in (self.tree, *self.classes, *self.functions):
            if ast.get_docstring(node, clean=False) is not None:
                text = node.body[0]
                filled -= set(range(text.lineno, (text.end_lineno or 0) + 1))
        return len(filled - self.comments)

    @cached_property
    def dense(self) -> int:
        """The number of lines with too many expressions, statements and loops."""
        counts = Counter[int]()
        for node in self.nodes:
            placed = node.target if isinstance(node, ast.comprehension) else node
            if isinstance(placed, ast.expr | ast.stmt):
                counts[placed.lineno] += 1
        return sum(count > LINE_NODES for count in counts.values())

    @cached_property
    def nested(self) -> int:
        """The number of comprehensions and conditionals inside one of their own kind."""
        loops = [node for node in self.nodes if isinstance(node, LOOPS)]
        choices = [node for node in self.nodes if isinstance(node, ast.IfExp)]
        count = sum(isinstance(inner, LOOPS) for node in loops for inner in ast.walk(node))
        count += sum(isinstance(inner, ast.IfExp) for node in choices for inner in ast.walk(node))
        return count - len(loops) - len(choices)

    @property
    def types(self) -> set[str]:
        """The public names of classes and type aliases."""
        targets = [node.targets[0] for node in self.tree.body if isinstance(node, ast.Assign)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        names += [node.name for node in self.tree.body if isinstance(node, ast.ClassDef)]
        return {name for name in names if TYPE_NAME.fullmatch(name)}


@dataclass(frozen=True)
class Figure:
    """A measured value between its bounds, and the place that has it."""

    name: str
    value: float
    most: float
    least: float = 0
    place: str = ""

    def __str__(self) -> str:
        verdict = "ok" if self.least <= self.value <= self.most else "OVER"
        measured = f"{verdict:<5} {self.name:<38} {self.value:>7g}"
        budget = f"{self.least:g} to {self.most:g}" if self.least else f"{self.most:g}"
        return f"{measured}  {budget:<10} {self.place}".rstrip()


def parse_folder(folder: str) -> list[Module]:
    modules = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        modules.append(Module(name.removeprefix("src."), text, ast.parse(text)))
    return modules


def measure_sizes(
    name: str, sizes: Iterable[tuple[int, str]], *, median: int, p90: int, most: int
) -> Iterator[Figure]:
    ordered = sorted(sizes)
    numbers = [size for size, _ in ordered]
    yield Figure(f"{name}, median", statistics.median_low(numbers), median)
    yield Figure(f"{name}, p90", numbers[int(len(numbers) * 0.9)], p90)
    yield Figure(f"{name}, max", numbers[-1], most, place=ordered[-1][1])


def measure_lines(name: str, modules: list[Module], *budgets: float) -> Iterator[Figure]:
    rows = [row for m in modules for row in m.text.splitlines()]
    longer = 100 * sum(len(row) > LINE_LENGTH for row in rows) / len(rows)
    over = 100 * sum(m.dense for m in modules) / len(rows)
    inside = 1000 * sum(m.nested for m in modules) / len(rows)
    yield Figure(f"{name}lines over {LINE_LENGTH} columns, %", round(longer, 2), budgets[0])
    yield Figure(f"{name}lines over {LINE_NODES} nodes, %", round(over, 2), budgets[1])
    yield Figure(f"{name}nested in their kind per 1,000", round(inside, 2), budgets[2])


def list_parameters(node: Function) -> list[ast.arg]:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [argument for argument in given if argument.arg not in ("self", "cls")]


def measure_functions(modules: list[Module]) -> Iterator[Figure]:
    named = [(f"{m.name}.{node.name}", node) for m in modules for node in m.functions]
    sizes = [((node.end_lineno or 0) - node.lineno + 1, name) for name, node in named]
    yield from measure_sizes("function lines", sizes, median=10, p90=32, most=80)
    # A command of the CLI has a parameter for each of its options.
    widths = [(len(list_parameters(node)), name) for name, node in named if ".cli." not in name]
    yield Figure("parameters, max", max(widths)[0], 8, place=max(widths)[1])
    outer = {
        node
        for m in modules
        for each in (m.tree, *m.classes)
        for node in ast.iter_child_nodes(each)
    }
    loose = []
    for name, node in named:
        positional = len(list_parameters(node)) - len(node.args.kwonlyargs)
        if positional > 2 and node in outer and node.name[0] != "_":
            loose.append(name)
    yield Figure("public functions, over 2 by position", len(loose), 0, place=" ".join(loose[:2]))


def measure_classes(modules: list[Module]) -> Iterator[Figure]:
    classes = {node.name: node for m in modules for node in m.classes}

    def depth(name: str) -> int:
        bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
        return 1 + max((depth(base) for base in bases if base in classes), default=0)

    inner = [(name, node) for name, each in classes.items() for node in each.body]
    methods = Counter(name for name, node in inner if isinstance(node, Function))
    largest, most = methods.most_common(1)[0]
    yield Figure("methods of a class, max", most, 25, place=largest)
    deepest, lowest = max((depth(name), name) for name in classes if not name.endswith("Error"))
    yield Figure("class depth, max", deepest, 2, place=lowest)
    homes = Counter(name for m in modules for name in m.types)
    twice = sorted(name for name, count in homes.items() if count > 1)
    yield Figure("public types defined twice", len(twice), 0, place=" ".join(twice))


def measure_cycle(modules: list[Module]) -> Figure:
    """Count modules that import each other in a circle, imports for types alone left out."""
    names = {m.name for m in modules}
    graph = TopologicalSorter[str]()
    for m in modules:
        used = {node.module for node in m.tree.body if isinstance(node, ast.ImportFrom)}
        graph.add(m.name, *(names & used))
    try:
        graph.prepare()
    except CycleError as error:
        cycle = error.args[1][1:]
        return Figure("modules in a cycle of imports", len(cycle), 0, place=" ".join(cycle))
    return Figure("modules in a cycle of imports", 0, 0)


def measure_text(modules: list[Module], code: int) -> Iterator[Figure]:
    nodes = [node for m in modules for node in m.nodes]
    inner = {node for m in modules for each in m.functions for node in ast.walk(each)}
    local = sum(isinstance(node, ast.Import | ast.ImportFrom) for node in inner)
    handlers = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
    wide = [node for node in handlers if node.type is None or ast.unparse(node.type) in WIDE]
    swallowed = [node for node in wide if all(isinstance(each, SILENT) for each in node.body)]
    anys = sum(isinstance(node, ast.Name) and node.id == "Any" for node in nodes)
    ignores = sum(len(IGNORE.findall(m.text)) for m in modules)
    comments = sum(len(m.comments) for m in modules)
    yield Figure("imports inside functions", local, 10)
    yield Figure("wide excepts", len(wide), 5)
    yield Figure("wide excepts that swallow", len(swallowed), 0)
    yield Figure("Any per 1,000 lines", round(1000 * anys / code, 1), 10)
    yield Figure("type: ignore per 1,000 lines", round(1000 * ignores / code, 1), 1)
    yield Figure("comment lines per 100", round(100 * comments / code, 1), 6)


def measure() -> Iterator[Figure]:
    modules, tests = parse_folder("src/assise"), parse_folder("tests")
    code, test_code = sum(m.code for m in modules), sum(m.code for m in tests)
    sizes = [(len(m.text.splitlines()), m.name) for m in modules if m.code]
    yield from measure_sizes("module lines", sizes, median=160, p90=400, most=600)
    yield from measure_functions(modules)
    yield from measure_classes(modules)
    yield measure_cycle(modules)
    yield from measure_lines("", modules, 0.1, 1, 0.5)
    yield from measure_lines("tests: ", tests, 0.5, 2, 2)
    yield from measure_text(modules, code)
    yield Figure("test code / code", round(test_code / code, 2), 2.0, least=1.2)
    mocks = 1000 * sum(len(MOCK.findall(m.text)) for m in tests) / test_code
    yield Figure("mocks per 1,000 test lines", round(mocks, 1), 1)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield Figure("hard dependencies", len(project["dependencies"]), 10)
    files = sum(path.is_file() and path.name != ".git" for path in ROOT.iterdir())
    yield Figure("files in the root", files, 14)
    starts = [subprocess.check_output([sys.executable, "-c", TIMED], text=True) for _ in range(5)]
    yield Figure("import assise, seconds", round(min(map(float, starts)), 3), 0.4)


if __name__ == "__main__":
    lines = [str(figure) for figure in measure()]
    over = sum(line.startswith("OVER") for line in lines)
    print(*lines, f"{over} of {len(lines)} budgets are OVER", sep="\n")
