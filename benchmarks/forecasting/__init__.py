"""Evaluates and trains the forecaster: curve archives, protocols, baselines, backtest, network training."""
