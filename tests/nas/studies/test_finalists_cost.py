"""What finalists would take, held to successive halving itself."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from nas.cli.commands import main
from nas.config.finalists import FinalistsConfig
from nas.config.loading import load_config
from nas.stopper.halving import Field, Halving, rungs_below
from nas.studies.dry_run import dry_run
from nas.studies.finalists_cost import finalists_cost, halved
from tests.nas.tiny import TINY


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize(
    ("epochs", "how"), [(1, {}), (7, {}), (90, {"min_epochs": 10, "eta": 3})]
)
def test_halving_trains_as_much_as_is_told(
    count: int, epochs: int, how: dict[str, int]
) -> None:
    settings = FinalistsConfig(**how)  # type: ignore[arg-type]
    field = Field(frozenset(range(count)), {"accuracy": "max"})
    rungs = rungs_below(epochs, settings.min_epochs, settings.eta)
    halving = Halving([field], rungs, settings.eta)
    reached = dict.fromkeys(range(count), 0)
    waiting = list(reached)
    while waiting:
        trial = waiting.pop()
        while reached[trial] < epochs:
            reached[trial] += 1
            metrics = {"accuracy": 0.5 + trial / 100}
            if halving.report(trial, reached[trial], metrics) == "pause":
                break
        while not waiting and (promoted := halving.promote()) is not None:
            waiting.append(promoted)
    told = halved(count, epochs, settings)
    assert told.epochs == sum(reached.values())
    assert told.finished == sum(each == epochs for each in reached.values())


def cost(*settings: str) -> tuple[float, float]:
    config = load_config("quick", [*TINY, "engine=serial", *settings])
    found = finalists_cost(config, (0.001, 0.01), 1)
    assert found is not None
    return found.hours


def test_hours_are_of_all_images_epochs_and_seeds() -> None:
    # of 1797 digits a fifth is for the test, a fifth of the others validates
    plain = ("finalists.networks=1", "finalists.random=0", "finalists.published=false")
    low, high = cost(*plain, "finalists.training.epochs=10", "finalists.seeds=3")
    images = low * 3600 / 0.001 / 10
    assert 1000 < images < 1797
    assert high == pytest.approx(3 * 10 * low)
    more = cost(*plain, "finalists.training.epochs=20", "finalists.seeds=3")
    assert more == pytest.approx((2 * low, 2 * high))
    assert cost(*plain, "finalists.hours=0.001", "finalists.training.epochs=20") == (
        0.001,
        0.001,
    )


def test_a_dry_run_tells_it_and_a_search_without_finalists_has_none(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    out = tmp_path_factory.mktemp("none") / "run"
    assert dry_run(load_config("quick", TINY), out).finalists is None
    more = ["finalists.networks=4", "finalists.training.epochs=2"]
    settings = [part for each in (*TINY, *more) for part in ("--set", each)]
    told = CliRunner().invoke(main, ["search", "quick", "--dry-run", *settings])
    assert "finalists 4 and up to 5 baselines in full: " in told.stdout
    assert not out.exists()
