"""Trains the forecaster's network on simulated and measured curves. Needs JAX."""
