"""A browser to look at reports in, and a report to look at."""

import shutil
from pathlib import Path

import pytest

from results import load_run, write_report
from tests.results.report.shown_pages import STAGES, make_run


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip(
        "playwright.sync_api",
        reason="playwright is not installed: pip install playwright",
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip(
            "there is no chromium on this machine (Debian, Ubuntu: apt install chromium)"
        )
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                *("--disable-gpu", "--enable-unsafe-swiftshader", "--no-sandbox"),
                "--disable-background-networking",
            ],
        )
        yield browser
        browser.close()


def serious(message) -> bool:
    """What a driver says of its speed in software is not the page's doing."""
    return (
        message.type in ("error", "warning") and "GL Driver Message" not in message.text
    )


@pytest.fixture
def tab(browser):
    """Opens an address; what the console has to say about it fails the test."""
    complaints, context = (
        [],
        browser.new_context(viewport={"width": 1200, "height": 900}),
    )
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if serious(m) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    yield page
    context.close()
    assert not complaints


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "a run & <i>its name")
    path = folder / "report.html"
    write_report(load_run(folder), path, stages=lambda arch: STAGES)
    return path


@pytest.fixture
def searched(log, start, add):
    """Six on the front, one behind it, one of every other fate."""
    start(reference_point={"accuracy": 0.2, "latency_ms": 50, "flops": 50})
    for n in range(6):
        add(
            n,
            accuracies=(0.4, 0.5 + n / 20),
            status="complete",
            flops=1 + n,
            latency_ms=1.0 + n,
        )
    add(6, accuracies=(0.2,), status="complete", flops=9, latency_ms=9.0)
    add(7, status="failed", error="out of memory at 0x1f")
    add(8, status="failed", error="out of memory at 0x2f")
    add(9, accuracies=(0.3,), status="stopped", flops=3, latency_ms=3.0)
    add(10, status="infeasible", error="flops 99 is outside the limit <= 50", flops=99)
    add(11, accuracies=(0.3,), flops=3, latency_ms=3.0)
    return log
