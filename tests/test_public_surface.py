"""The names users rely on, said once: adding or removing one is a decision."""

from __future__ import annotations

import evaluators
import nas
import results
import search_spaces

CONTRACT = {
    search_spaces: "get_space list_networks reference REFERENCES arch_from_dict "
    "Task build complexity SplitAttention",
    evaluators: "count_flops measure_latency proxy_train load_model write_model_folder predict",
    results: "load_run load_runs pareto_front hypervolume select public_models",
    nas: "AskTell SearchConfig search resume simulate retrain export create MultiObjectiveASHA Controller",
}


def test_the_contract_is_importable_and_declared() -> None:
    for package, names in CONTRACT.items():
        for name in names.split():
            assert name in package.__all__
            assert hasattr(package, name)


def test_everything_declared_exists_once() -> None:
    for package in CONTRACT:
        assert len(set(package.__all__)) == len(package.__all__) <= 32
        assert all(hasattr(package, name) for name in package.__all__)
