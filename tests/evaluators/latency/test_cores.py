import os
import sys
import time
from pathlib import Path

import pytest
import torch

from evaluators.latency.cores import OtherLoad, allowed_cores, choose_cores, confined

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="cores can be chosen on Linux alone"
)


def cores_by_thread() -> dict[int, set[int]]:
    threads = [path.name for path in Path("/proc/self/task").iterdir()]
    return {int(thread): os.sched_getaffinity(int(thread)) for thread in threads}


def test_the_whole_team_is_confined_and_nobody_else() -> None:
    before = cores_by_thread()
    count = min(2, allowed_cores())

    def compute() -> dict[int, set[int]]:
        convolution = torch.nn.Conv2d(16, 16, 3)
        for _ in range(3):
            convolution(torch.randn(4, 16, 64, 64))
        return cores_by_thread()

    with confined(1) as call:
        during = call(compute)
        newcomers = [cores for thread, cores in during.items() if thread not in before]
        assert newcomers
        assert all(len(cores) == 1 for cores in newcomers)
        assert all(
            during[thread] == cores
            for thread, cores in before.items()
            if thread in during
        )
    with confined(count) as call:
        during = call(compute)
        team = [cores for thread, cores in during.items() if thread not in before]
        assert len(team) >= count
        assert all(len(cores) == count for cores in team)
    assert torch.get_num_threads() == 1


def test_a_failure_inside_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError), confined(1) as call:
        call(lambda: {}["absent"])
    assert torch.get_num_threads() == 1


def test_cores_are_among_those_allowed() -> None:
    assert choose_cores(1) < os.sched_getaffinity(0) or allowed_cores() == 1
    assert choose_cores(allowed_cores()) == os.sched_getaffinity(0)


def test_own_work_is_not_the_work_of_others() -> None:
    """What others took and what this process took cannot be more than all there is."""
    load = OtherLoad()
    started, own = time.perf_counter(), time.process_time()
    while time.perf_counter() - started < 0.5:
        sum(range(1000))
    own_share = (
        (time.process_time() - own)
        / (time.perf_counter() - started)
        / (os.cpu_count() or 1)
    )
    share = load.share()
    assert share is not None
    assert 0 <= share <= 1
    waiting = 1 - own_share * (os.cpu_count() or 1)
    assert share <= max(1 - own_share, waiting) + 0.1
