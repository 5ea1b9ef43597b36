"""Compares deep learners for tables with boosting on fraud detection, each with the same tuning budget.

    python launch.py --experiment=benchmarks/fraud_tuned.py

576 trials; four minutes on one H200, most of them for compilation and evaluation. docs/method/tables.md has the
result.
"""

import dataclasses

from dlm import Budget, FTTransformer, HistGradientBoosting, Hyper, Learner, Optimizer, Study, TabularMLP, grid
from dlm.study import experiment


def study() -> Study:
    """Four learners with 16 settings each, at three sizes, three seeds, on the data of `vehicle_fraud`."""
    optimizer = Optimizer(b2=0.95)
    deep = grid(lr=(3e-4, 1e-3, 3e-3, 1e-2), weight_decay=(0.1, 1.0), dropout=(0.1, 0.4))
    boosting = grid(max_leaf_nodes=(4, 8, 16, 31), learning_rate=(0.03, 0.1), max_iter=(100, 300))
    return dataclasses.replace(
        experiment.load("vehicle_fraud"),
        name="fraud_tuned",
        learners={
            "periodic": Learner(TabularMLP(), Hyper(), optimizer),
            "focal": Learner(TabularMLP(), Hyper(focal=2.0), optimizer),
            "ft": Learner(FTTransformer(), Hyper(), optimizer),
            "boosting": HistGradientBoosting(),
        },
        tuning={"periodic": deep, "focal": deep, "ft": deep, "boosting": boosting},
        train_sizes=(2048, 4536, 9070),
        budget=Budget(epochs=20, eval_every=50, patience=8, batch_size=256),
    )
