from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nas import SearchConfig, load_config, presets
from nas.config.loading import validate
from nas.stopper import MultiObjectiveASHA


@pytest.mark.parametrize("name", presets())
def test_presets_are_valid(name: str) -> None:
    assert load_config(name).trials > 0


def test_the_quick_preset_has_the_three_objectives() -> None:
    assert load_config("quick").objectives == {
        "accuracy": "max",
        "latency_ms": "min",
        "flops": "min",
    }


def test_overrides_descend_and_are_yaml() -> None:
    overrides = [
        "trials=3",
        "training.lr=1e-1",
        "space.radix=[1, 2]",
        "sampler=random",
        "latency.device=null",
    ]
    config = load_config("quick", overrides)
    assert (config.trials, config.training.lr, config.sampler.name) == (
        3,
        0.1,
        "random",
    )
    assert config.space.build().knobs()["radix"] == (1, 2)
    assert config.latency.device is None


def test_a_new_space_drops_the_old_ones_knobs() -> None:
    assert (
        load_config("quick", ["space=resnest"]).space.build()
        == SearchConfig().space.build()
    )


def test_a_saved_configuration_is_the_same_when_loaded(tmp_path: Path) -> None:
    config = load_config("quick", ["seed=5"])
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load_config(str(path)) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trials=-1", "quick: trials: must be at least 1, got -1"),
        ("trials=many", "quick: trials: must be a whole number, got 'many'"),
        ("trials=2.5", "quick: trials: must be a whole number, got 2.5"),
        ("trails=4", "quick: trails: unknown key; did you mean trials?"),
        ("training.epoch=4", "quick: training.epoch: unknown key; did you mean epochs?"),
        ("training.epochs=0", "quick: training.epochs: must be at least 1, got 0"),
        ("training.lr=fast", "quick: training.lr: must be a finite number, got 'fast'"),
        ("latency.dtype=int8", "quick: latency.dtype: must be float32 or float16 or bfloat16, got 'int8'"),
        ("space.radix=3", "quick: space: space resnest: radix must be 0, 1, 2 or 4, got 3"),
        ("space.radixes=3", "quick: space: space resnest has no knob 'radixes'; did you mean radix?"),
        ("space=resnet", "quick: space: unknown space 'resnet'; did you mean resnest or regnety?"),
        ("objectives.accuracy=most", "quick: objectives.accuracy: must be 'max' or 'min', got 'most'"),
        ("objectives={}", "quick: objectives: dictionary should have at least 1 item"),
        ("reference_point={accuracy: 0}", "quick: reference_point needs exactly the objectives accuracy"),
        ("ray.address=ray://head:10001", "quick: ray.address: Ray Client (ray://) cannot run Tune; start the"),
        ("trials", "--set trials: needs the form key=value, e.g. trials=16"),
        ("trials=[", "--set trials: not valid YAML in line 1, column 2: expected the node content"),
        ("trials.more=1", "--set trials.more: trials holds no further keys"),
        ("training={epochs: 1, epochs: 2}", "--set training: not valid YAML in line 1, column 13: epochs is"),
        ("reference_point.flops=.nan", "quick: reference_point.flops: must be a finite number"),
        ("2020-01-01.x=3", "quick: 2020-01-01: unknown key; there are space"),
        ("seed=2024-01-01", "quick: seed: must be a whole number, got '2024-01-01'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_in_one_line(override: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        load_config("quick", [override])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trials: [", "not valid YAML in line 1, column 10"),
        ("- trials", "a mapping of settings is needed"),
        ("", "a mapping of settings is needed"),
        ("2020-01-01: 3", "no settings: keys must be str"),
        ("[" * 3000, "nested too deeply"),
        (
            "trials: !!python/object/apply:os.system [ls]",
            "not valid YAML in line 1, column 9",
        ),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.yaml: ") as caught:
        load_config(str(path))
    assert message in str(caught.value)


def test_missing_files_and_presets_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"missing.yaml: cannot be read \(No such file"
    ):
        load_config("missing.yaml")
    with pytest.raises(
        ValueError, match=r"unknown preset 'quik'; did you mean quick\?"
    ):
        load_config("quik")


def test_keys_of_python_values_are_checked_too() -> None:
    with pytest.raises(ValueError, match="here: trials: must be a whole number"):
        validate({"trials": "16"}, "here")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trials": 0}, "SearchConfig.trials: must be at least 1, got 0"),
        ({"trials": "16"}, "SearchConfig.trials: must be a whole number, got '16'"),
        ({"trails": 16}, "SearchConfig.trails: unknown key; did you mean trials?"),
        ({"data": {"name": 3}}, "SearchConfig.data.name: must be a text, got 3"),
        (
            {"training": {"augment": {"flip": "no"}}},
            "SearchConfig.training.augment.flip: must be true or false",
        ),
        (
            {"training": {"compile": "false"}},
            "SearchConfig.training.compile: must be true or false, got 'false'",
        ),
        (
            {"latency": {"batch_size": 0}},
            "SearchConfig.latency.batch_size: must be at least 1, got 0",
        ),
        (
            {"stop": {"plateau": {"trials": 0}}},
            "SearchConfig.stop.plateau.trials: must be at least 1, got 0",
        ),
        (
            {"stop": {"plateau": {"trials": 1, "gains": 1}}},
            "SearchConfig.stop.plateau.gains: unknown key; did you mean gain?",
        ),
        ({"stop": {"plateau": {}}}, "SearchConfig.stop.plateau.trials: must be given"),
        ({"limits": {"macs": "few"}}, "SearchConfig.limits.macs: "),
    ],
)
def test_python_is_told_in_one_line_as_yaml_is(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        SearchConfig(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^here: ") as told:
        validate(values, "here")
    assert str(told.value) == str(caught.value).replace("SearchConfig.", "here: ")


def test_a_stopper_may_watch_another_metric_than_an_objective() -> None:
    config = load_config(
        "quick", ["stopper={name: moasha, instead: {accuracy: {validation_loss: min}}}"]
    )
    stopper = config.stopper.build(config.objectives, 6)
    assert isinstance(stopper, MultiObjectiveASHA)
    assert stopper.objectives == {
        "validation_loss": "min",
        "latency_ms": "min",
        "flops": "min",
    }


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ("{macs: {validation_loss: min}}", "stopper.instead: macs is no objective"),
        (
            "{accuracy: {validation_loss: less}}",
            "stopper.instead.accuracy.validation_loss",
        ),
    ],
)
def test_what_a_stopper_cannot_watch(instead: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        load_config("quick", [f"stopper={{name: moasha, instead: {instead}}}"])
    assert "\n" not in str(refused.value)
