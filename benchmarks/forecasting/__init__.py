"""benchmarks.forecasting."""
