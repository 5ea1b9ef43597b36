"""How many biopsies does it take to tell malignant breast masses from benign ones, and how sure may the answer be?

    python launch.py --experiment=breast_cancer

TODO
"""

from dlm import Budget, Hyper, Learner, Study
from dlm.baselines import GradientBoosting, LogisticRegression
from dlm.data import BreastCancer
from dlm.models import MLP
from dlm.tasks import Classification


def study() -> Study:
    """Three learners at six sizes, ten seeds each; deep learners for tables have their place beside the MLP."""
    return Study(
        data=BreastCancer(),
        task=Classification(also=("auroc", "calibration_error")),
        learners={
            "mlp": Learner(MLP((64, 64)), Hyper(lr=1e-3, weight_decay=0.1)),
            "logreg": LogisticRegression(c=0.3),
            "boosting": GradientBoosting(),
        },
        sizes=(16, 32, 64, 128, 256, 319),
        seeds=10,
        budget=Budget(epochs=40, min_steps=200, batch_size=32),
        targets=(0.02,),
    )
