"""How the forecaster's network learns: from simulated curves, then from measured ones too. Needs JAX."""
