"""The job script that ``splitsearch slurm`` writes, as written, on a real Slurm of three nodes on this machine."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from nas.cli.commands import main
from results import Run, load_run
from results.log.event_log import read_events
from results.log.events import Lost, SearchFinished
from tests.nas.engines.test_cluster import OWN
from tests.slurm_cluster import end_node, missing, slurm_cluster

SETTINGS = """
objectives: {accuracy: max, params: min}
reference_point: null
evaluators: [complexity, 'own:Slow']
trials: 12
sampler: random
data: digits
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    if reason := missing():
        pytest.skip(reason)
    with slurm_cluster() as environment:
        yield environment


@pytest.fixture
def job(slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN.replace("sleep(0.5)", "sleep(2)"))
    (tmp_path / "mine.yaml").write_text(SETTINGS)
    return Job(slurm, tmp_path)


class Job:
    """A search of twelve trials, four epochs of two seconds each, as a job of Slurm."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self.folder = environment, folder
        self.number = ""

    def submit(self, *options: str) -> None:
        words = ["slurm", "mine.yaml", "--nodes", "3", "--time", "0:20:00", *options]
        script = CliRunner().invoke(main, words)
        assert script.exit_code == 0, script.output
        (self.folder / "job.sh").write_text(script.output)
        self.number = self.slurm("sbatch", "--parsable", "job.sh").strip()

    def slurm(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    @property
    def facts(self) -> dict[str, str]:
        shown = self.slurm("scontrol", "show", "job", self.number).split()
        return dict(fact.split("=", 1) for fact in shown if "=" in fact)

    @property
    def log(self) -> Path:
        return self.folder / "runs" / "mine" / "events.db"

    def epochs(self) -> int:
        events = read_events(self.log) if self.log.exists() else []
        return sum(event.kind == "epoch" for event in events)

    def wait(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 400
        while not reached():
            assert time.monotonic() < deadline, (self.facts, self.printed)
            time.sleep(3)

    def wait_for_end(self) -> None:
        going = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
        self.wait(lambda: self.facts["JobState"] not in going)

    @property
    def printed(self) -> str:
        path = self.folder / f"slurm-{self.number}.out"
        return path.read_text() if path.exists() else ""

    @property
    def run(self) -> Run:
        return load_run(self.folder / "runs" / "mine")

    def ends(self) -> list[str]:
        contents = [event.content for event in read_events(self.log)]
        return [each.reason for each in contents if isinstance(each, SearchFinished)]

    def lost(self) -> int:
        return sum(isinstance(event.content, Lost) for event in read_events(self.log))


def complete(run: Run) -> bool:
    return list(run.trials["status"]) == ["complete"] * 12


@pytest.mark.slow
def test_a_search_and_a_submission_after_its_end(job: Job) -> None:
    job.submit()
    job.wait_for_end()
    assert job.facts["JobState"] == "COMPLETED", job.printed
    assert complete(job.run)
    assert job.lost() == 0
    assert len(set(job.run.epochs["node"])) == 3, "all nodes trained"
    job.submit()
    job.wait_for_end()
    assert job.facts["JobState"] == "COMPLETED", job.printed
    assert "nothing is left to do, 12 trials done" in job.printed


@pytest.mark.slow
def test_shortly_before_its_time_is_up_it_ends_and_is_queued_again(job: Job) -> None:
    # signalled after two to three minutes: Slurm looks at the clock once a minute
    job.submit("--time", "0:05:00", "--set", "trials=200")
    job.wait(lambda: "requeue" in job.printed.lower() or job.facts["Restarts"] != "0")
    assert job.ends() == ["interrupted"]
    assert (job.folder / "runs" / "mine" / "report.html").exists()
    before = job.epochs()
    assert job.lost() == 0
    job.wait(lambda: job.epochs() > before)
    assert (job.run.epochs["began"] > 0).any(), "it went on from a checkpoint"
    job.slurm("scancel", job.number)
    job.wait_for_end()


@pytest.mark.slow
def test_scancel_ends_in_order_and_it_goes_on(job: Job) -> None:
    job.submit()
    job.wait(lambda: job.epochs() >= 6)
    job.slurm("scancel", job.number)
    job.wait_for_end()
    assert job.facts["JobState"] == "CANCELLED"
    assert job.ends() == ["interrupted"], job.printed
    assert (job.folder / "runs" / "mine" / "report.html").exists()
    job.submit()
    job.wait_for_end()
    assert complete(job.run)
    assert job.facts["Restarts"] == "0"


@pytest.mark.slow
def test_a_lost_node_costs_no_trial(job: Job) -> None:
    job.submit()  # the last test: the node stays away
    job.wait(lambda: job.epochs() >= 6)
    end_node(3)
    job.wait_for_end()
    assert job.facts["JobState"] in ("COMPLETED", "NODE_FAIL"), job.printed
    assert complete(job.run)
    assert job.ends() == ["12 trials done"]
