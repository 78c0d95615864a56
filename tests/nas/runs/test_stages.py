import pytest

from nas.runs.stages import stages, write_run_report
from results import EventLog
from search_spaces import REFERENCES, Task, complexity, reference


def test_resnest50_has_its_published_stages():
    found = stages(reference("resnest50"), Task())
    assert [(row["depth"], row["width"], row["resolution"]) for row in found] == [
        (1, 64, 56),
        (3, 256, 56),
        (4, 512, 28),
        (6, 1024, 14),
        (3, 2048, 7),
    ]
    assert (found[1]["radix"], found[1]["cardinality"]) == (2, 1)


def test_small_images_keep_their_size_through_the_stem():
    assert stages(reference("resnest50"), Task(10, 32, 3, True))[0]["resolution"] == 32


@pytest.mark.parametrize("name", REFERENCES)
def test_every_published_network_has_stages(name):
    found = stages(reference(name), Task())
    assert found[0]["name"] == "stem"
    sides = [row["resolution"] for row in found]
    assert sides == sorted(sides, reverse=True)
    assert all(row["depth"] and row["width"] for row in found)


def test_a_run_without_its_space_still_gets_a_report(tmp_path):
    arch = {"space": "gone:Space", "width": 3}
    with EventLog(tmp_path / "events.db") as log:
        log.append("search_started", config={}, objectives={"flops": "min"})
        for trial, value in enumerate([arch, reference("resnest14d").to_dict()]):
            log.append(
                "proposed", trial, arch_id="x", space="s", arch=value, knobs={}, seed=0
            )
            log.append(
                "measured", trial, flops=complexity(reference("resnest14d")).flops
            )
            log.append("finished", trial, status="complete")
    (tmp_path / "environment.json").write_text(
        '{"task": {"num_classes": 10, "resolution": 32}}'
    )
    text = write_run_report(tmp_path).read_text(encoding="utf-8")
    assert '"of":[[],[0,1,2,3,4]]' in text
