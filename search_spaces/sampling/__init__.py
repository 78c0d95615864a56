"""Draws inside budgets, and one-knob mutations."""
