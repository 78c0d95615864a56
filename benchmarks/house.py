"""How the source reads, in figures: folders, files, functions, comments, tokens, types, names, circles.

    python benchmarks/house.py            the table, with the goals; exit code 1 if one is missed
    python benchmarks/house.py nas/cli    of some folders only
    python benchmarks/house.py --largest  and where to begin
    (``tests/test_house.py`` holds the goals)

Lines are code lines: they carry a token that is neither comment, docstring nor white space. A name has two homes
when two modules define it, publicly and at their top. Circles count imports inside functions too.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("search_spaces", "evaluators", "results", "nas")
LAYOUT = {
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.COMMENT,
}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Module:
    """One file, read: its tree, its code lines, and how many tokens and comments it has."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.name = ".".join(path.relative_to(root).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(text)
        self.lines = len(text.splitlines())
        prose = self._docstring_lines()
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        code = [
            token
            for token in _whole_strings(tokens)
            if token.type not in LAYOUT and token.start[0] not in prose
        ]
        self.tokens = len(code)
        self.code = {
            line for token in code for line in range(token.start[0], token.end[0] + 1)
        }
        self.comments = sum(token.type == tokenize.COMMENT for token in tokens)

    def _docstring_lines(self) -> set[int]:
        """Lines of texts that stand for themselves: docstrings of modules, classes, functions, constants."""
        texts = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ]
        return {
            line
            for text in texts
            for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)
        }

    def functions(self) -> Iterator[tuple[int, int, str]]:
        """Code lines of each function, its signature included, where it begins, and its name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = range(node.lineno, (node.end_lineno or 0) + 1)
                yield sum(line in self.code for line in lines), node.lineno, node.name

    def public(self) -> Iterator[str]:
        """Names of the public functions, classes, constants and aliases it defines."""
        for node in self.tree.body:
            if isinstance(node, Definition):
                names = [node.name]
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                names = [
                    target.id
                    for target in _targets(node)
                    if isinstance(target, ast.Name)
                ]
            else:
                names = []
            yield from (name for name in names if not name.startswith("_"))

    def any_count(self) -> int:
        """How often the type ``Any`` is written, imports aside."""
        return sum(
            isinstance(node, ast.Name) and node.id == "Any"
            for node in ast.walk(self.tree)
        )

    def imports(self) -> Iterator[str]:
        """Modules that it imports, early or late, as far as their names say."""
        package = (
            self.name
            if self.path.name == "__init__.py"
            else self.name.rpartition(".")[0]
        )
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parent = package.split(".")[
                        : len(package.split(".")) - node.level + 1
                    ]
                    base = ".".join([*parent, base]).strip(".")
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _whole_strings(
    tokens: Iterable[tokenize.TokenInfo],
) -> Iterator[tokenize.TokenInfo]:
    """An f-string as one token, as Python 3.11 reads it: from 3.12 on it is many."""
    depth = 0
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if depth == 0:
            yield token
        depth += (name == "FSTRING_START") - (name == "FSTRING_END")


def _targets(node: ast.Assign | ast.AnnAssign) -> Iterator[ast.expr]:
    """What it assigns to; ``A, B = 1, 2`` has two targets."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def in_circles(modules: dict[str, Module]) -> int:
    """How many modules reach themselves by imports, the doors of packages aside."""
    edges = {
        name: {
            target
            for target in module.imports()
            if target in modules and target != name
        }
        for name, module in modules.items()
    }

    def reaches(start: str) -> bool:
        seen: set[str] = set()
        open_ends = list(edges[start])
        while open_ends:
            name = open_ends.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                open_ends += edges[name]
        return False

    return sum(map(reaches, edges))


def read_modules(root: Path, folders: Sequence[str] = PACKAGES) -> list[Module]:
    """Every module below ``folders`` of the checkout at ``root``."""
    return [
        Module(path, root)
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
    ]


def homes(modules: Iterable[Module]) -> dict[str, list[str]]:
    """The modules that define each public name."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for name in module.public():
            found[name].append(module.name)
    return found


def figures(root: Path, folders: Sequence[str] = PACKAGES) -> dict[str, float]:
    """Every figure by its name, of ``folders`` of the checkout at ``root``."""
    modules = read_modules(root, folders)
    tests = [
        len(path.read_text(encoding="utf-8").splitlines())
        for folder in (("",) if folders == PACKAGES else folders)
        for path in (root / "tests" / folder).rglob("*.py")
    ]
    functions = [size for module in modules for size, _, _ in module.functions()]
    files = Counter(
        module.path.parent for module in modules if module.path.name != "__init__.py"
    )
    plain = {
        module.name: module for module in modules if module.path.name != "__init__.py"
    }
    code = sum(len(module.code) for module in modules)
    comments = sum(module.comments for module in modules)
    tokens = sum(module.tokens for module in modules)
    anys = sum(module.any_count() for module in modules)
    several = [name for name, places in homes(modules).items() if len(places) > 1]
    return {
        "files in the largest flat folder": max(files.values()),
        "modules in import circles": in_circles(plain),
        "function code lines, median": statistics.median(functions),
        "function code lines, p90": statistics.quantiles(functions, n=10)[-1],
        "function code lines, largest": max(functions),
        "lines of the longest file": max(module.lines for module in modules),
        "comments per 100 lines": 100 * comments / code,
        "tokens a line": tokens / code,
        "Any per 1000 lines": 1000 * anys / code,
        "public names with two homes": len(several),
        "lines of tests a line of source": sum(tests)
        / sum(module.lines for module in modules),
        "code lines": code,
    }


def largest(modules: Sequence[Module], count: int = 15) -> Iterator[str]:
    """The longest functions and files, the most ``Any``, and each name with two homes: where to begin."""
    functions = [
        (size, f"{module.path}:{line} {name}")
        for module in modules
        for size, line, name in module.functions()
    ]
    files = [(module.lines, str(module.path)) for module in modules]
    anys = [(module.any_count(), str(module.path)) for module in modules]
    # tokens beyond the goal: a long file that is a little dense weighs as much as a short one that is very
    most = GOALS["tokens a line"].high
    dense = [
        (round(module.tokens - most * len(module.code)), str(module.path))
        for module in modules
    ]
    lists = {"function": functions, "file": files, "dense": dense, "Any": anys}
    for title, items in lists.items():
        for size, place in sorted(items, reverse=True)[:count]:
            yield f"{title:9} {size:5} {place}"
    for name, places in homes(modules).items():
        if len(places) > 1:
            yield f"two homes {name}: {' '.join(places)}"


class Goal(NamedTuple):
    """From where to where a figure may lie, and what brings it back."""

    low: float
    high: float
    advice: str


GOALS = {
    "files in the largest flat folder": Goal(0, 15, "give some of them a folder"),
    "modules in import circles": Goal(0, 0, "move what both need below both"),
    "function code lines, p90": Goal(0, 17, "give steps of long functions a name"),
    "function code lines, largest": Goal(0, 60, "give its steps names"),
    "lines of the longest file": Goal(0, 320, "split it where a second idea begins"),
    "comments per 100 lines": Goal(4, 6, "say why, where an algorithm is at work"),
    "tokens a line": Goal(0, 8.2, "give intermediate values of dense lines a name"),
    "Any per 1000 lines": Goal(0, 12, "name the type that is known"),
    "public names with two homes": Goal(0, 0, "give one of the two a name of its own"),
    "lines of tests a line of source": Goal(0.6, 99, "test what was added"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument(
        "--largest", action="store_true", help="list where to begin as well"
    )
    parser.add_argument(
        "folders", nargs="*", default=PACKAGES, help="only these, such as results/log"
    )
    arguments = parser.parse_args()
    folders = tuple(arguments.folders)
    missed = 0
    for name, value in figures(arguments.root, folders).items():
        goal = GOALS.get(name)
        if goal is None:
            print(f"{name:36} {value:8.1f}")
            continue
        kept = goal.low <= value <= goal.high
        missed += not kept
        range_ = f"{goal.low:g} to {goal.high:g}"
        verdict = "" if kept else f"MISSED: {goal.advice}"
        print(f"{name:36} {value:8.2f}  {range_:9} {verdict}".rstrip())
    if arguments.largest:
        print(*largest(read_modules(arguments.root, folders)), sep="\n")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
