"""Networks after an equal number of epochs: what still compares where some were stopped early."""

import pandas as pd

from results.wording import counted

_TOTALS = ("trial", "epoch", "seconds")
"""Columns of the epochs' table that mean something else in the trials' table."""


def epoch_metrics(trials: pd.DataFrame, epochs: pd.DataFrame) -> list[str]:
    """The metrics that change from epoch to epoch, of which ``trials`` has the last values."""
    # numbers only: the column ``fidelity`` is in words
    names = map(str, epochs.select_dtypes("number"))
    return [name for name in names if name in trials and name not in _TOTALS]


def stopping_epochs(trials: pd.DataFrame) -> list[int]:
    """The epochs after which networks were stopped, rising: every network that did not fail reached the first."""
    stopped = trials.loc[trials["status"] == "stopped", "epochs"].dropna()
    return sorted(map(int, stopped[stopped > 0].unique()))


def at_epoch(trials: pd.DataFrame, epochs: pd.DataFrame, epoch: int) -> pd.DataFrame:
    """The trials that reached ``epoch``, with what they were worth after it, as if training ended there.

    Raises ``ValueError`` if none did.
    """
    # an epoch told twice (an interruption) counts once
    rows = epochs[epochs["epoch"] == epoch]
    then = rows.drop_duplicates("trial", keep="last")
    reached = trials[trials["trial"].isin(then["trial"])]
    if reached.empty:
        raise ValueError(f"no network was trained for {counted(epoch, 'epoch')}")
    values = then.set_index("trial").reindex(reached["trial"])
    changed = {
        name: values[name].set_axis(reached.index).astype(reached[name].dtype)
        for name in epoch_metrics(trials, epochs)
    }
    return reached.assign(**changed, epochs=epoch, status="complete")
