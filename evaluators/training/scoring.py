"""The last word on a trained network: how often it is right on images it has never seen, and how well it knows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluators.data.dataset import Dataset
from evaluators.data.split import Split
from evaluators.evaluator import Metrics
from evaluators.training.evaluation import EVALUATION_BATCH

CALIBRATION_BINS = 15


@torch.inference_mode()
def score(
    network: nn.Module, dataset: Dataset, test: Split, device: torch.device
) -> Metrics:
    """``top1``, ``top5`` (missing for up to five classes), ``test_loss`` and ``calibration_error``, in float32.

    ``network`` is put into eval mode; ``dataset`` says how images are normalised. The calibration error is the
    expected one over 15 bins of equal width (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    """
    network.eval()
    logits = []
    for batch in torch.arange(len(test.labels)).split(EVALUATION_BATCH):
        images = test.take(batch, device).images
        # one copy a batch; all logits of a test set are small beside its images
        batch = network(dataset.normalise(images))
        logits.append(batch.float().cpu())
    return scores(torch.cat(logits), test.labels.cpu())


def scores(logits: Tensor, labels: Tensor) -> Metrics:
    """As ``score``, from (N, classes) logits and (N,) labels; ``FloatingPointError`` if logits are not finite."""
    if not logits.isfinite().all():
        raise FloatingPointError(
            "the network gives infinite or NaN logits for test images"
        )
    best = logits.topk(min(5, logits.shape[1])).indices
    right = best == labels[:, None]
    first = right[:, 0].float()
    metrics: Metrics = {"top1": first.mean().item()}
    if logits.shape[1] > 5:
        metrics["top5"] = right.any(1).float().mean().item()
    metrics["test_loss"] = F.cross_entropy(logits, labels).item()
    metrics["calibration_error"] = _calibration_error(logits, labels)
    return metrics


def _calibration_error(logits: Tensor, labels: Tensor) -> float:
    confidence, predicted = logits.double().softmax(1).max(1)
    # intervals are open to the left, as by the authors
    upper = (confidence * CALIBRATION_BINS).ceil().long()
    bins = upper.clamp(1, CALIBRATION_BINS) - 1
    gaps = torch.zeros(CALIBRATION_BINS, dtype=torch.float64)
    hits = (predicted == labels).double()
    gaps.index_add_(0, bins, confidence - hits)
    return float(gaps.abs().sum() / len(labels))
