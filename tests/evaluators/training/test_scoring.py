"""Scores of a trained network against plain counting."""

import pytest
import torch
from sklearn.metrics import log_loss, top_k_accuracy_score

from evaluators.training.scoring import scores


def test_scores_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = (
        torch.randn(300, 12, generator=generator),
        torch.randint(12, (300,), generator=generator),
    )
    found, shares = scores(logits, labels), logits.softmax(1).numpy()
    classes = range(12)
    assert found["top1"] == pytest.approx(
        top_k_accuracy_score(labels, shares, k=1, labels=classes)
    )
    assert found["top5"] == pytest.approx(
        top_k_accuracy_score(labels, shares, k=5, labels=classes)
    )
    assert found["test_loss"] == pytest.approx(
        log_loss(labels, shares, labels=classes), rel=1e-5
    )


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    sure = torch.tensor([[0.9, 0.1]]).log().expand(100, -1)  # 90 % sure of class 0
    right = torch.tensor([0] * 60 + [1] * 40)
    assert scores(sure, right)["calibration_error"] == pytest.approx(0.3, abs=1e-6)
    two = torch.cat([sure, torch.tensor([[0.4, 0.6]]).log().expand(100, -1)])
    # the second half knows itself
    labels = torch.cat([right, torch.tensor([1] * 60 + [0] * 40)])
    assert scores(two, labels)["calibration_error"] == pytest.approx(0.15, abs=1e-6)


def test_ties_count_as_one_guess() -> None:
    assert scores(torch.zeros(100, 10), torch.arange(100) % 10)[
        "top1"
    ] == pytest.approx(0.1)


def test_few_classes_have_no_top5() -> None:
    assert "top5" not in scores(torch.randn(4, 5), torch.arange(4))


def test_logits_that_are_no_numbers() -> None:
    with pytest.raises(FloatingPointError, match="NaN logits"):
        scores(torch.full((2, 3), float("nan")), torch.zeros(2, dtype=torch.int64))
