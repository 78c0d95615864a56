"""What a trial is called on the terminal."""

from results.log.record import TrialRecord


def called_trial(record: TrialRecord) -> str:
    """By the network's name among finalists, where numbers of trainings are not those of the search's trials."""
    name = record.metrics.get("network")
    seed = record.proposal.seed if record.proposal else None
    if name is None:
        return f"trial {record.number}"
    return f"{name}, seed {seed}" if seed else str(name)
