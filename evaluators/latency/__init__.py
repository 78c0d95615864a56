"""Latency, measured on a device or predicted from its blocks."""
