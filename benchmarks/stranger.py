"""Somebody who has just installed SplitSearch, for ``expectations.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY = (
    "training.epochs=1", "sampler=random", "latency.max_seconds=0.05", "latency.max_load=1", "latency.interval=1",
    *(f"space.depth{stage}=1" for stage in range(1, 5)), *(f"space.width{stage}=8" for stage in (1, 2)),
    *(f"space.width{stage}=16" for stage in (3, 4)),
)  # fmt: skip
"""The smallest networks, for an epoch, on a machine that may be busy."""


@dataclass(frozen=True)
class Stranger:
    """Somebody in an empty folder, with ``splitsearch`` installed and nothing else known."""

    folder: Path
    bin: Path

    def types(self, *words: str, code: int = 0, **variables: str) -> str:
        """What ``splitsearch WORDS`` prints on stdout, or, when it is to fail, on stderr."""
        done = self._run([str(self.bin / "splitsearch"), *words], variables)
        assert done.returncode == code, (words, done.returncode, done.stderr[-300:])
        assert "Traceback" not in done.stderr, done.stderr[-300:]
        return done.stderr if code == 2 else done.stdout

    def starts(self, *words: str) -> subprocess.Popen[str]:
        """``splitsearch WORDS``, left running."""
        command = [str(self.bin / "splitsearch"), *words]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    def searches(self, out: str, *settings: str, code: int = 0) -> str:
        pairs = [word for each in (*TINY, *settings) for word in ("--set", each)]
        return self.types(
            "search", "quick", "--serial", "--out", out, *pairs, code=code
        )

    def python(self, code: str, *arguments: str) -> str:
        """What a Python program prints."""
        done = self._run([str(self.bin / "python"), "-c", code, *arguments], {})
        assert done.returncode == 0, done.stderr[-400:]
        return done.stdout

    def example(self, name: str, *settings: str) -> str:
        """What an example prints; it is copied, as its index says."""
        shutil.copy(ROOT / "examples" / f"{name}.py", self.folder)
        command = [str(self.bin / "python"), f"{name}.py", *settings]
        done = self._run(command, {})
        assert done.returncode == 0, done.stderr[-400:]
        return done.stdout

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "SPLITSEARCH_CACHE": str(self.folder / "cache"),
            "HF_HUB_DISABLE_XET": "1",
        }

    def _run(
        self, command: list[str], variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment() | variables,
            capture_output=True,
            text=True,
            check=False,
        )


def installed(place: Path) -> Stranger:
    """A wheel of this clone in an environment of its own, which sees the packages of this Python."""
    environment, folder = place / "environment", place / "elsewhere"
    folder.mkdir()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / "source" / name)
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
    subprocess.run([*pip, *wheel, str(place / "source")], check=True)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(venv, check=True)
    library = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    shared = [each for each in sys.path if each.endswith("site-packages")]
    (library / "shared.pth").write_text("\n".join(shared))
    python = str(environment / "bin" / "python")
    found = str(next(place.glob("*.whl")))
    command = [*pip, "--python", python, "install", "--no-deps", "--force-reinstall"]
    subprocess.run([*command, "--ignore-installed", found], check=True)
    return Stranger(folder, environment / "bin")
