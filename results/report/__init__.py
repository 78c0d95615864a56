"""The HTML report: data, charts, page."""
