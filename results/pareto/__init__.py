"""Fronts, how good and how sure they are, and the final pick."""
