"""A workdir's numbers for other people's tools: tables for a paper, TensorBoard, and trackers of experiments."""
