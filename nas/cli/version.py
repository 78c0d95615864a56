"""Which SplitSearch this is: version, commit, and the packages that it stands on."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def version_line() -> str:
    """Version, commit and what it stands on, in one line to copy into a bug report."""
    found = {name: installed(name) for name in ("torch", "optuna", "ray")}
    named = ", ".join(f"{name} {number or 'missing'}" for name, number in found.items())
    commit = source_commit()
    origin = f" ({commit})" if commit else ""
    return f"splitsearch {own_version()}{origin}, Python {platform.python_version()}, {named}"


def own_version() -> str:
    """As installed; a clone that was never installed has none."""
    return installed("splitsearch") or "not installed"


def installed(package: str) -> str | None:
    """The package's version; None if it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def source_commit() -> str:
    """The commit of the clone that this runs from, with ``+`` if files were changed; empty for a wheel."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists() or not (git := shutil.which("git")):
        return ""
    described = subprocess.run(  # noqa: S603 - a fixed command
        [git, "-C", str(root), "describe", "--always", "--exclude", "*", "--dirty=+"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return described.stdout.strip()
