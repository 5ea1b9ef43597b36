"""What do mistaken credit decisions cost, whom do they hit, and how many past cases bring the cost down?

    python launch.py --experiment=german_credit

TODO
"""

from dlm import Budget, Hyper, Learner, Study
from dlm.baselines import GradientBoosting, LogisticRegression
from dlm.data import Tfds
from dlm.models import MLP
from dlm.tasks import Decisions


def study() -> Study:
    """Three learners at five sizes, eight seeds each; deep learners for tables have their place beside the MLP."""
    return Study(
        data=Tfds("german_credit_numeric", version="1.0.0", test=300, validation=200),
        task=Decisions(costs=(5.0, 1.0)),
        learners={
            "mlp": Learner(MLP((64, 64)), Hyper(lr=1e-3, weight_decay=1.0, dropout=0.2)),
            "logreg": LogisticRegression(c=0.01),
            "boosting": GradientBoosting(trees=50, leaves=4),
        },
        sizes=(32, 64, 128, 256, 500),
        seeds=8,
        budget=Budget(epochs=20, min_steps=200, batch_size=32),
        groups=("features[9]<=25", "features[6]"),
    )
