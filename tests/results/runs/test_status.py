import pytest

from results.runs.status import QUIET_SECONDS, read_status

FOLDED = {"flops": 1, "latency_ms": 1.0}


@pytest.fixture
def status(log):
    """The status a number of seconds after the last event."""

    def status(age: float = 5.0):
        last = list(log)[-1].time
        return read_status(log.path.parent, now=last + age)

    return status


def test_what_is_done_running_and_left(status, start, add):
    start(trials=8, training={"epochs": 4}, stop={"hours": 1.0, "epochs": 100})
    add(0, accuracies=(0.5,) * 4, status="complete", **FOLDED)
    add(1, accuracies=(0.4,), status="stopped", **FOLDED)
    add(2, status="failed", error="out of memory")
    add(3, status="duplicate", **FOLDED)
    add(4, accuracies=(0.3, 0.35), **FOLDED)
    found = status()
    assert found.counts == {
        "complete": 1,
        "stopped": 1,
        "failed": 1,
        "duplicate": 1,
        "running": 1,
    }
    assert found.done == 3
    assert [(row["trial"], row["epochs"]) for row in found.running] == [(4, 2)]
    assert (found.left["trials"], found.left["epochs"]) == (5, 93)
    assert found.share == pytest.approx(3.5 / 8), "two of four epochs are half a trial"
    assert found.seconds_left == pytest.approx(found.run.seconds * 4.5 / 3.5)
    assert (found.front, found.age) == (1, 5.0)


def test_trials_put_aside_are_neither_running_nor_done(status, start, add, log):
    start(trials=3)
    for trial in range(2):
        add(trial, accuracies=(0.5,), **FOLDED)
        log.append("decision", trial, epoch=1, decision="pause")
    assert (status().counts, status().running) == ({"paused": 2}, [])
    log.append("promoted", 1)
    assert status().counts == {"running": 1, "paused": 1}


def test_silence_is_measured_against_what_is_usual(status, start, add):
    start()
    add(0, accuracies=(0.5,), **FOLDED)
    assert not status(QUIET_SECONDS - 1).silent
    assert status(QUIET_SECONDS + 1).silent


def test_a_search_with_long_epochs_may_be_silent_longer(status, start, add, log):
    start()
    add(0, **FOLDED)
    log._clock = lambda: 1_760_000_600.0
    log.append("epoch", 0, epoch=1, accuracy=0.5)
    assert not status(1_000).silent
    assert status(2_000).silent


def test_a_search_that_ended_is_not_silent(status, start, add, log):
    start(trials=1)
    add(0, accuracies=(0.5,), status="complete", **FOLDED)
    log.append("search_finished", reason="1 trials done")
    found = status(1e6)
    assert not found.silent
    assert found.seconds_left is None
    assert found.run.ended == "1 trials done"


def test_nothing_tells_the_time_left_before_anything_was_done(status, start):
    start(trials=4)
    found = status()
    assert (found.counts, found.share, found.seconds_left, found.hypervolume) == (
        {},
        0.0,
        None,
        None,
    )


def test_a_clock_behind_the_writers_gives_no_negative_age(status, start):
    start()
    assert status(-50).age == 0.0


def test_a_damaged_log_still_has_a_status(log, start, add):
    start()
    for trial in range(300):
        add(trial, accuracies=(0.5,), status="complete", **FOLDED)
    log.close()
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[: 3 * len(whole) // 4])
    found = read_status(log.path.parent)
    assert 0 < found.counts["complete"] < 300
    assert "damaged" in found.run.damage
