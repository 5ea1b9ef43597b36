"""Data-equivalence ratios and comparisons of two studies."""
