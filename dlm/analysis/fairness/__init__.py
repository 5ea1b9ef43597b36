"""Fairness: errors of groups of test examples, their gaps, forecasts and metrics."""
