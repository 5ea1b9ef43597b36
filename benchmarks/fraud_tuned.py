"""Do deep learners for tables find frauds as well as boosting does, each tuned by as many settings on validation?

    python launch.py --experiment=benchmarks/fraud_tuned.py

576 cells; four minutes on one H200, most of them for compiling and measuring. The result is in docs/tables.md.
"""

from dlm import Budget, Hyper, Learner, Optimizer, Study, grid
from dlm.baselines import GradientBoosting
from dlm.data import Tfds
from dlm.models import FTTransformer, TabularMLP
from dlm.tasks import RareEvents


def study() -> Study:
    """Four learners with 16 settings each, at three sizes, three seeds."""
    optimizer = Optimizer(b2=0.95)
    deep = grid(lr=(3e-4, 1e-3, 3e-3, 1e-2), weight_decay=(0.1, 1.0), dropout=(0.1, 0.4))
    budget = Budget(epochs=20, eval_every=50, patience=8, batch_size=256)
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
            "periodic": Learner(TabularMLP(), Hyper(), optimizer, budget),
            "focal": Learner(TabularMLP(), Hyper(focal=2.0), optimizer, budget),
            "ft": Learner(FTTransformer(), Hyper(), optimizer, budget),
            "boosting": GradientBoosting(),
        },
        tuning={
            "periodic": deep,
            "focal": deep,
            "ft": deep,
            "boosting": grid(leaves=(4, 8, 16, 31), learning_rate=(0.03, 0.1), trees=(100, 300)),
        },
        sizes=(2048, 4536, 9070),
        seeds=3,
    )
