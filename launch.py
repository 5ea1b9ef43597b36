"""Runs a data-scaling study from a checkout: python launch.py --experiment=digits (see --help; same as `dlm`)."""

from dlm.__main__ import console

if __name__ == "__main__":
    console()
