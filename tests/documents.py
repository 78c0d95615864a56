"""What a page of documentation tells its reader to type, and the same on settings that take seconds."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.nas.tiny import TINY

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAM = "splitsearch "
ELSEWHERE = (
    "ray.address=auto",
    "--init",
    "--sbatch",
    "cifar10",
    "CIFAR",
    "/runs/first",
    "${command[@]}",
    "$@",
    "my-name/my-network",
)
"""Marks of commands that need a cluster, a download, a hub, or a shell's variables: they are checked, not run."""

LOOSE = {"latency_ms": "latency_ms=1000", "macs": "macs=1e3..1e9"}
"""Limits for a machine full of tests, and for the smallest networks."""


@dataclass(frozen=True)
class Block:
    """One fenced block, ``language`` as written behind the fence."""

    language: str
    text: str

    def commands(self) -> Iterator[list[str]]:
        """The arguments of every call of our command in it."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if line.startswith(PROGRAM):
                typed, _, _ = line.removeprefix(PROGRAM).partition(" > ")
                yield shlex.split(typed, comments=True)


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    )
    return [Block(language, text) for language, text in found]


def runs_here(arguments: list[str]) -> bool:
    """Whether this machine has what the command needs."""
    return not any(mark in argument for mark in ELSEWHERE for argument in arguments)


def tiny(arguments: list[str]) -> list[str]:
    """The same command on the smallest networks for an epoch; a folder that it would write makes room."""
    name, *rest = arguments
    if "--out" in rest:
        shutil.rmtree(rest[rest.index("--out") + 1], ignore_errors=True)
    kept = [
        LOOSE.get(each.partition("=")[0], each) for each in rest if each != "--watch"
    ]
    settings = [
        *_SETTINGS.get(name, []),
        *(_FINALISTS if _trains_finalists(rest) else []),
    ]
    if any(each.startswith("space=") for each in rest):
        settings = [each for each in settings if not each.startswith("space.")]
    return [
        name,
        *kept,
        *_OPTIONS.get(name, []),
        *(part for each in settings for part in ("--set", each)),
    ]


def _trains_finalists(arguments: list[str]) -> bool:
    files = (Path(each) for each in arguments if each.endswith(".yaml"))
    return any(file.is_file() and "finalists:" in file.read_text() for file in files)


def tiny_code(code: str) -> str:
    """The same Python on the settings ``TINY``."""
    code = code.replace('load_config("quick", [', 'load_config("quick", [*TINY, ')
    return re.sub(r'("latency_ms"): [\d.]+}', r"\1: 1000}", code)


_FINALISTS = [
    "finalists={networks: 1, random: 0, published: false, training: {epochs: 1}}",
    "select={}",
    "export={}",
]
_OPTIONS = {
    "search": ["--serial"],
    "resume": ["--serial"],
    "retrain": ["--serial", "--seeds", "1", "--workers", "1"],
    "proxy-study": ["--serial", "--networks", "4"],
    "finalists": ["--serial", "--networks", "2", "--seeds", "1"],
    "compare-spaces": ["--serial", "--trials", "2"],
    "export": ["--no-onnx", "--no-program"],
    "simulate": ["--workers", "2", "--hours", "1", "--trials", "12"],
    "measure": ["--max-load", "1", "--interval", "1", "--max-seconds", "0.05"],
}
"""What is appended: the last value of an option is the one that counts."""
_SETTINGS = {
    "search": [*TINY, "trials=4", "limits={}", "stopper=none", "stop={}", "device=cpu"],
    "resume": ["trials=5"],
    "retrain": ["epochs=1"],
    "proxy-study": ["epochs=1"],
    "finalists": ["epochs=1", "random=1", "published=false"],
    "compare-spaces": TINY,
}
