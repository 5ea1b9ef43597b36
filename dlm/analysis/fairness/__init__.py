"""Errors of groups of test examples: curves, gaps with intervals that hold, needs and metrics."""
