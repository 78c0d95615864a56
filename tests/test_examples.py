"""Every example runs as it stands, on tiny settings, and stays short enough to read in one sitting."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tests.nas.tiny import TINY

FOLDER = Path(__file__).parents[1] / "examples"
NOTEBOOK = FOLDER / "search_to_picture.ipynb"
PICTURE = "application/vnd.plotly.v1+json"
SETTINGS = {
    "first_search": [*TINY, "trials=2"],
    "own_images": [*TINY, "trials=1"],
    "own_space": [
        *(each for each in TINY if not each.startswith("space.")),
        "trials=2",
    ],
    "own_training": [*TINY, "trials=1"],
    "own_loop": [],
    "own_sampler": [
        *(each for each in TINY if not each.startswith("sampler")),
        "trials=2",
    ],
    "analysis": [],
    "pick_and_retrain": ["epochs=1"],
    "detector": [],
    "exact_costs": [],
    "families": [],
}
NEEDS = {"pick_and_retrain": ("first_search", "runs/first-search")}
"""The example, and what it leaves, from which another goes on."""
MOST_LINES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, as a newcomer would have."""
    return tmp_path_factory.mktemp("newcomer")


@pytest.mark.parametrize("name", SETTINGS)
def test_an_example_runs(
    name: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(folder / "cache"))
    monkeypatch.syspath_prepend(str(FOLDER))  # as `python examples/NAME.py` does
    needed, left = NEEDS.get(name, ("", "."))
    for each in (name,) if Path(left).exists() else (needed, name):
        monkeypatch.setattr(sys, "argv", [f"{each}.py", *SETTINGS[each]])
        runpy.run_path(str(FOLDER / f"{each}.py"), run_name="__main__")
    assert capsys.readouterr().out.strip(), "says what it found"


def test_the_notebook_runs_from_search_to_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a kernel of its own, as whoever opens it would run it."""
    paths = os.pathsep.join([str(FOLDER.parent), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", paths)
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(folder / "cache"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first = next(
        place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"
    )
    smaller = new_code_cell(f"settings += {[*TINY, 'trials=2']}")
    notebook.cells.insert(first + 1, smaller)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(folder)}})
    client.execute()
    shown = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    picture = next(data for data in shown if PICTURE in data)
    traces = picture[PICTURE]["data"]
    points = [int(trace["customdata"]["shape"].split(",")[0]) for trace in traces]
    assert sum(points) == 2
    assert (folder / "runs" / "notebook" / "report.html").exists()


def test_every_example_is_run_short_and_in_the_index() -> None:
    files = {path.stem: path for path in FOLDER.glob("*.py")}
    assert files.keys() == SETTINGS.keys()
    index = (FOLDER / "README.md").read_text()
    assert f"]({NOTEBOOK.name})" in index
    for name, path in files.items():
        assert len(path.read_text().splitlines()) <= MOST_LINES
        assert f"]({name}.py)" in index
