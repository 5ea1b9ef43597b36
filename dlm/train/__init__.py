"""Training: one member's pure step, a population of members as one XLA program, and the loop around them."""
