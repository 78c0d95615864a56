"""What a notebook shows of a run, and the figures it gives to restyle."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from results import load_front, load_run


@pytest.fixture(scope="module")
def run():
    return load_front("cifar10-small")


def test_a_notebook_shows_every_network_and_the_front(run):
    html = run._repr_html_()
    root = ElementTree.fromstring(html)  # noqa: S314, our own
    dots = root.findall(".//circle")
    front = [dot for dot in dots if dot.get("fill") == "#d55e00"]
    assert (len(dots), len(front)) == (len(run.complete), len(run.front()))
    assert dots[-len(front) :] == front, "the front is drawn last, on top"
    assert all(0 <= float(dot.get("cx")) <= 420 for dot in dots)
    highest = min(front, key=lambda dot: float(dot.get("cy")))
    fastest = max(front, key=lambda dot: -float(dot.get("cx")))
    assert highest is not fastest, "accuracy goes up, latency goes right"
    assert "102 networks, 52 trained to the end, 13 on the front" in html
    assert not re.search("<script|href=|src=|https?:", html)
    assert len(html) < 20_000


def test_a_notebook_shows_no_markup_of_the_run(run, tmp_path):
    odd = replace(run, path=tmp_path / "<script>alert(1)<")
    assert "<script" not in odd._repr_html_()


def test_a_run_without_a_network_shows_itself(log, start):
    start()
    assert "0 networks" in load_run(log.path.parent)._repr_html_()


def test_the_front_is_a_plotly_figure_in_the_units_of_its_labels(run):
    figure = run.figure("front")
    assert isinstance(figure, go.Figure)
    others, front = figure.data
    assert set(front.customdata) == set(run.front()["trial"])
    assert set(others.customdata) | set(front.customdata) == set(run.complete["trial"])
    assert max(front.y) == pytest.approx(100 * run.complete["accuracy"].max())
    assert figure.layout.yaxis.title.text == "accuracy (%)"
    assert run.figure("front", x="params").layout.xaxis.title.text == "parameters"


def test_progress_ends_at_the_hypervolume(run):
    (line,) = run.figure("progress").data
    assert line.y[-1] == pytest.approx(run.hypervolume())
    assert np.all(np.diff(line.x) >= 0)


def test_learning_curves_put_the_front_on_top(run):
    curves = run.figure("learning").data
    assert len(curves) == run.epochs["trial"].nunique()
    assert [curve.name for curve in curves if curve.showlegend] == [
        curve.name for curve in curves[-len(run.front()) :]
    ]


def test_a_knob_has_means_by_value_and_no_interval_of_one_network(run):
    (bars,) = run.figure("knob", knob="radix").data
    means = run.complete.groupby("arch.radix")["accuracy"].mean() * 100
    assert list(bars.x) == [str(value) for value in means.index]
    assert list(bars.y) == pytest.approx(means.tolist())
    single = [i for i, n in enumerate(bars.customdata) if n == 1]
    assert single
    assert np.isnan([bars.error_y.array[i] for i in single]).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pie", {}, "there are front, progress, learning"),
        ("front", {"x": "colour"}, "colour is no column"),
        ("knob", {"knob": "colour"}, "arch.colour is no column"),
        ("knob", {}, "with knob="),
        ("learning", {"metric": "flops"}, "a metric of epochs"),
    ],
)
def test_what_cannot_be_drawn_is_named(run, name, options, message):
    with pytest.raises(ValueError, match=message):
        run.figure(name, **options)
