"""Side-by-side speed against what people use today. Peers: benchmarks/requirements.txt."""
