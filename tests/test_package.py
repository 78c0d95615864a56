"""What pip installs: a wheel with all its data, a core that does without Ray, extras that are named when missing.

The wheel goes into an environment of its own, far from the clone; of the packages that the tests run with it sees
all but those of the extras.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.nas.tiny import TINY

ROOT = Path(__file__).parents[1]
EXTRAS = ("ray", "kornia", "onnx", "onnxruntime", "onnxscript")
DATA = (
    "nas/config/presets/quick.yaml",
    "nas/config/recipes/fast.yaml",
    "results/fronts/cifar10-small/trials.parquet",
    "search_spaces/py.typed",
)
Splitsearch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip(
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        _clean_copy(folder),
    )
    return next(folder.glob("*.whl"))


def _clean_copy(folder: Path) -> str:
    """The files that git knows, since a build leaves folders beside them."""
    copy = folder / "source"
    copy.mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    archive = ["tar", "--null", "--files-from=-", "--create"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    packed = subprocess.run(
        archive, cwd=ROOT, check=True, capture_output=True, input=names
    ).stdout
    subprocess.run(["tar", "--extract"], cwd=copy, check=True, input=packed)
    return str(copy)


def _pip(*arguments: str) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-python-version-warning",
    ]
    done = subprocess.run(
        [*pip, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def splitsearch(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Splitsearch:
    """The command of the fresh environment, run in an empty folder."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True
    )
    library = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    _link_packages(library)
    _pip(
        "--python",
        str(environment / "bin" / "python"),
        "install",
        "--no-deps",
        str(wheel),
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    variables = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(environment / "bin" / "splitsearch"), *arguments]
        return subprocess.run(
            command,
            cwd=elsewhere,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _link_packages(library: Path) -> None:
    """All packages of the tests' own environment, but neither the extras nor this project."""
    for folder in dict.fromkeys(
        path for path in sys.path if path.endswith("site-packages")
    ):
        for package in Path(folder).iterdir():
            name = package.name.lower().split("-")[0].removesuffix(".pth")
            there = library / package.name
            if (
                name not in (*EXTRAS, "splitsearch")
                and package.suffix != ".pth"
                and not there.exists()
            ):
                there.symlink_to(package)


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    packages = ("search_spaces", "evaluators", "results", "nas")
    listed = ["git", "ls-files", *packages]
    ours = subprocess.run(
        listed, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    there = {name for name in ours if (ROOT / name).exists()}
    assert there - packed == set()
    assert set(DATA) <= packed


def test_the_sdist_builds_the_same_wheel(tmp_path: Path, wheel: Path) -> None:
    source = _clean_copy(tmp_path)
    build = (
        f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    )
    subprocess.run(
        [sys.executable, "-c", build], cwd=source, check=True, capture_output=True
    )
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    packed = {
        name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name
    }
    assert packed - inside == set()
    assert {"CHANGELOG.md", "CITATION.cff"} <= inside
    assert not any(name.startswith("tests") for name in inside), "a part of them only"


def test_a_search_runs_without_ray_and_far_from_the_clone(
    splitsearch: Splitsearch,
) -> None:
    overrides = [part for setting in (*TINY, "trials=2") for part in ("--set", setting)]
    done = splitsearch("search", "quick", "--serial", "--out", "run", *overrides)
    assert done.returncode == 0, done.stderr
    assert "2 networks of resnest on digits" in done.stdout
    assert splitsearch("front", "run").returncode == 0


def test_what_is_missing_is_named_with_the_command_that_brings_it(
    splitsearch: Splitsearch,
) -> None:
    done = splitsearch("doctor")
    assert done.returncode == 0, done.stderr
    for extra in ("ray", "export", "augment"):
        assert f"-> pip install 'splitsearch[{extra}]'" in done.stdout


def test_a_search_on_ray_says_how_to_get_ray(splitsearch: Splitsearch) -> None:
    done = splitsearch("search", "quick", "--set", "trials=1", "--out", "none")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'splitsearch[ray]'" in done.stderr
    assert "--serial" in done.stderr


def test_the_version_is_one_line_for_a_bug_report(splitsearch: Splitsearch) -> None:
    done = splitsearch("--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert f"Python {sys.version.split()[0]}" in done.stdout
    assert "ray missing" in done.stdout


def test_citation_and_changelog_speak_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    headings = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == project["version"]


def test_news_fragments_are_of_a_kind_that_the_changelog_has() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    kinds = {kind["directory"] for kind in settings["type"]}
    fragments = [
        path
        for path in (ROOT / settings["directory"]).iterdir()
        if path.name != "README.md"
    ]
    assert fragments
    for fragment in fragments:
        _, kind, suffix = fragment.name.split(".")
        assert (kind in kinds, suffix) == (True, "md"), fragment.name
