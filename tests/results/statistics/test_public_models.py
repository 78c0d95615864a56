import pytest

from results import comparable, public_models
from results.statistics.public_models import resnest_rivals


def test_public_models_speak_the_units_of_a_trials_table():
    models = public_models()
    assert len(models) == models["model"].nunique() == 1266
    resnest = models.set_index("model").loc["resnest50d.in1k"]
    assert (resnest["family"], resnest["recipe"], resnest["resolution"]) == (
        "resnest",
        "in1k",
        224,
    )
    assert (resnest["accuracy"], resnest["params"]) == (0.80958, 27_480_000)
    # what search_spaces.complexity counts
    assert resnest["flops"] == pytest.approx(5_401_872_064, rel=0.005)
    assert models["accuracy"].between(0, 1).all()
    assert {"resnest", "regnety", "efficientnet"} <= set(models["family"])
    assert set(models.attrs["units"]) == set(models) - {"model", "family", "recipe"}


@pytest.mark.parametrize(
    ("config", "yes", "why"),
    [
        ({"data": "imagenet"}, True, "has the task"),
        (
            {
                "data": {"name": "imagenet-1k"},
                "task": {"num_classes": 1000, "resolution": 160},
            },
            True,
            "has the task",
        ),
        ({"data": "digits"}, False, "trained on ImageNet, this run on digits"),
        ({"data": "imagenette"}, False, "this run on imagenette"),
        ({}, False, "this run on unknown data"),
        (
            {"data": "imagenet", "task": {"num_classes": 100}},
            False,
            "tell 1000 classes apart, this run 100",
        ),
        (
            {"data": {"name": "imagenet", "resolution": 64}},
            False,
            "106 to 800 pixels, this run at 64",
        ),
    ],
)
def test_only_the_same_task_compares(config, yes, why):
    answer, reason = comparable(config)
    assert answer is yes
    assert why in reason


def test_rivals_are_no_less_accurate_and_the_ratio_is_of_throughputs():
    rivals = resnest_rivals()
    assert (rivals["benchmark"].nunique(), rivals["family"].nunique()) == (20, 10)
    known = rivals.dropna(subset="rival")
    assert (known["rival_accuracy"] >= known["accuracy"]).all()
    ratio = known["rival_images_per_second"] / known["images_per_second"]
    assert known["ratio"].to_numpy() == pytest.approx(ratio.to_numpy(), rel=0.02)
    assert rivals.loc[rivals["rival"].isna(), "ratio"].isna().all()


def test_the_rivals_are_the_public_models():
    """Their accuracies at the same resolution stand in the other table too."""
    models = public_models()[["model", "resolution", "accuracy"]]
    keys = {"model": "rival", "resolution": "rival_resolution"}
    models = models.rename(columns=keys | {"accuracy": "published"})
    known = resnest_rivals().drop_duplicates([*keys.values()]).merge(models)
    assert len(known) > 20
    assert known["rival_accuracy"].to_numpy() == pytest.approx(
        known["published"].to_numpy(), abs=1e-4
    )
