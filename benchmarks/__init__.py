"""Benchmarks and simulations of dlm; benchmarks/README.md lists the commands."""
