"""Can a longer history of exchange rates be used at all to forecast them 96 days ahead?

python launch.py --experiment=exchange_rate
"""

from dlm import Budget, Hyper, Learner, Optimizer, Study
from dlm.baselines import AutoRegressive, LinearSeries, SeasonalNaive
from dlm.data import TfdsSeries
from dlm.models import DLinear, PatchTST
from dlm.tasks import Forecasting


def study() -> Study:
    """Five learners at five lengths of history, two seeds of initial weights."""
    return Study(
        data=TfdsSeries(
            "exchange_rate",
            context=96,
            horizon=96,
            index="time_index",
            train="train+validation[:50%]",
            validation="validation[50%:]",
        ),
        task=Forecasting(),
        learners={
            "last_value": SeasonalNaive(1),
            "ar": AutoRegressive(order=1),
            "linear": LinearSeries(alpha=100.0),
            "dlinear": Learner(
                DLinear(normalize="last"),
                Hyper(lr=1e-4),
                budget=Budget(epochs=2, min_steps=100, max_steps=300, batch_size=32),
            ),
            "patchtst": Learner(
                PatchTST(stride=16, depth=2, heads=2, hidden=32), Hyper(lr=1e-3, dropout=0.2), Optimizer(clip=1.0)
            ),
        },
        sizes=(256, 512, 1024, 2048, 5120),
        seeds=2,
        budget=Budget(epochs=2, min_steps=100, max_steps=200, batch_size=32),
    )
