"""Exports a workdir: tables for papers, TensorBoard files, experiment trackers."""
