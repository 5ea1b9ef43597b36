"""How many claims does it take to find the rare frauds among them, and do class weights or a focal loss help?

    python launch.py --experiment=vehicle_fraud

Numbers are yet to be measured.
"""

from dlm import Budget, Hyper, Learner, Study
from dlm.baselines import GradientBoosting, LogisticRegression
from dlm.data import Tfds
from dlm.models import MLP
from dlm.tasks import RareEvents

LR, DECAY = 1e-3, 0.1


def study() -> Study:
    """Six learners at four sizes, three seeds each; deep learners for tables have their place beside the MLPs."""
    net = MLP((64, 64))
    return Study(
        data=Tfds(
            "vehicle_fraud",
            version="1.0.0",
            inputs=("categorical", *(f"numeric[{place}]" for place in range(6))),
            categories=("categorical",),
            validation=0.2,
        ),
        task=RareEvents(),
        learners={
            "mlp": Learner(net, Hyper(lr=LR, weight_decay=DECAY)),
            "weighted": Learner(net, Hyper(lr=LR, weight_decay=DECAY, balance=1.0)),
            "focal": Learner(net, Hyper(lr=LR, weight_decay=DECAY, focal=2.0)),
            "logreg": LogisticRegression(c=0.03),
            "boosting": GradientBoosting(leaves=8),
            "boosting weighted": GradientBoosting(leaves=8, balance=1.0),
        },
        sizes=(1024, 2048, 4096, 9070),
        seeds=3,
        budget=Budget(epochs=10, min_steps=200, max_steps=1000),
    )
