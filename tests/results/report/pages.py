"""A page, written and read."""

import json
from html.parser import HTMLParser

import pytest

from results import load_run, write_report


class Page(HTMLParser):
    """The tags, texts and scripts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.texts, self.scripts = [], [], []
        self.in_script = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self.in_script = tag == "script"

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, data):
        if self.in_script:
            self.scripts[-1] += data
        else:
            self.texts.append(data)

    @property
    def data(self):
        return json.loads(self.scripts[0], parse_constant=pytest.fail)


def page_of(log, **options) -> Page:
    path = log.path.parent / "report.html"
    write_report(load_run(log.path.parent), path, **options)
    return Page(path.read_text(encoding="utf-8"))
