"""What README and docs tell a reader to type works: commands, Python, settings. On tiny settings, page by page."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import run_search
from nas import export, load_config, retrain, search
from results import load_run
from search_spaces import get_space
from search_spaces.catalog import SPACES
from tests.documents import PAGES, ROOT, Block, blocks, runs_here, tiny, tiny_code
from tests.nas.tiny import TINY

RUNS = ("first", "mine", "pets", "seed-0", "seed-1")
PICTURES = (
    "cat.jpg",
    "dog.png",
    "three.png",
    "seven.png",
    "photos/test/cat/101.jpg",
    "photos/val/cat/1.jpg",
)
pages = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(ROOT))
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has who followed the pages before: photos, a run, a pick, a trained model."""
    folder = tmp_path_factory.mktemp("reader")
    search(
        load_config(
            "quick", [*TINY, "trials=4", "sampler=random", "space.radix=[0,1,2,4]"]
        ),
        folder / "run",
        serial=True,
    )
    best = load_run(folder / "run").front()["trial"].iloc[0]
    retrain(
        folder / "run",
        folder / "retrained",
        trial=int(best),
        overrides=["epochs=1", "engine=serial"],
    )
    export(folder / "retrained", folder / "model", onnx=False, program=False)
    return folder


@pytest.fixture
def workplace(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the reader's own, and the process in it."""
    for name in RUNS:
        shutil.copytree(template / "run", tmp_path / "runs" / name)
    for name in ("retrained", "model"):
        shutil.copytree(template / name, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(template / "cache"))
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        for number in range(12):
            _paint(tmp_path / "photos" / "train" / kind / f"{number}.png", rng)
    for name in PICTURES:
        _paint(tmp_path / name, rng)
    pick = load_run("runs/first").select(maximize="accuracy")
    Path("selected.json").write_text(
        json.dumps({"arch": pick.arch, "run": str(tmp_path / "runs" / "first")})
    )
    for name in ("a", "b"):
        shutil.copy(ROOT / "nas/config/presets/quick.yaml", f"{name}.yaml")
    own_space = blocks(ROOT / "docs/own_space.md")[0]
    Path("my_file.py").write_text(own_space.text)
    shutil.copytree(ROOT / "results/fronts/cifar10-small-random", "runs/random")
    return tmp_path


def _paint(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)


@pages
def test_everything_a_page_shows_runs(
    page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ModuleType("reader")
    # dataclasses look for the module they stand in
    monkeypatch.setitem(sys.modules, "reader", reader)
    vars(reader)["TINY"] = TINY
    for block in blocks(page):
        _write_named_file(block)
        if block.language == "python":
            exec(compile(tiny_code(block.text), str(page), "exec"), vars(reader))  # noqa: S102
        for arguments in block.commands():
            if runs_here(arguments):
                result = CliRunner().invoke(run_search.main, tiny(arguments))
                assert result.exit_code == 0, (
                    f"{arguments}: {result.output} {result.exception!r}"
                )


def _write_named_file(block: Block) -> None:
    """Settings or code whose first line says which file they are."""
    first = block.text.splitlines()[0]
    if block.language in ("yaml", "python") and first.startswith("# "):
        Path(first.removeprefix("# ").partition(":")[0]).write_text(block.text)


@pages
def test_every_command_has_the_options_that_a_page_gives_it(page: Path) -> None:
    for block in blocks(page):
        for name, *arguments in block.commands():
            if "$" in name:
                continue
            command = run_search.main.commands[name]
            command.make_parser(click.Context(command)).parse_args(arguments)


@pages
def test_a_page_types_the_command_by_its_short_name(page: Path) -> None:
    for block in blocks(page):
        assert "python run_search.py" not in block.text


@pytest.mark.parametrize("space", SPACES)
def test_every_knob_is_explained(space: str) -> None:
    page = (ROOT / "docs" / "knobs.md").read_text()
    section = page.partition(f"## {space}\n")[2].partition("\n## ")[0]
    of_first_stage = {re.sub(r"[2-9]$", "1", knob) for knob in get_space(space).knobs()}
    assert [knob for knob in of_first_stage if f"`{knob}`" not in section] == []
