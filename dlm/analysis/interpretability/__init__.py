"""Interpretability of trained networks: attributions, linear probes of layers, similarity of representations."""
