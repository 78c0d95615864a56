"""The pictures of docs/gallery.md: what the report shows of a published search, taken in chromium.

python benchmarks/gallery.py            needs playwright and chromium
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from nas.runs.stages import write_run_report
from results.runs.loading import FRONTS

DOCS = Path(__file__).parents[1] / "docs" / "gallery"
COLOURS = 200
"""Of a picture: a third of the bytes, and nothing that an eye misses."""


def epoch(page: Page) -> None:
    page.select_option("#at", "3")


def radix(page: Page) -> None:
    page.select_option("#colour", "k radix")
    page.click("#networks tbody button")


def survivors(page: Page) -> None:
    for select, value in (("#knob", "radix"), ("#trend-population", "1")):
        page.select_option(select, value)


def everyone(page: Page) -> None:
    page.select_option("#trend-population", "0")


def nothing(page: Page) -> None:
    """As the page opens."""


SHOTS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "health": ("#health", nothing),
    "trade-off": ("#trade-off", radix),
    "epoch": ("#trade-off .pair", epoch),
    "learning": ("#learning", nothing),
    "survivors": ("#trends", survivors),
    "everyone": ("#trends", everyone),
}


def take(page: Page, name: str) -> None:
    place, prepare = SHOTS[name]
    prepare(page)
    page.wait_for_timeout(300)  # charts move to where they belong
    shot = Image.open(BytesIO(page.locator(place).screenshot()))
    small = shot.convert("RGB").quantize(COLOURS)
    small.save(DOCS / f"{name}.png", optimize=True)
    print(f"{name:12} {(DOCS / f'{name}.png').stat().st_size / 1000:5.0f} kB")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    DOCS.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("there is no chromium (Debian, Ubuntu: apt install chromium)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = Path("runs/cifar10-small")
        with chdir(folder):  # the page names the folder as it was called
            shutil.copytree(FRONTS / run.name, run)
            report = write_run_report(run).resolve()
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto(report.as_uri())
        for name in SHOTS:
            take(page, name)
        browser.close()


if __name__ == "__main__":
    main()
