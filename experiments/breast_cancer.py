"""How many biopsies does it take to tell malignant breast masses from benign ones, and how sure may the answer be?

    python launch.py --experiment=breast_cancer

Real data: the 569 biopsies inside scikit-learn; 170 are held out for testing and 80 for validation.

Cost: 52 s of processor time, nothing compiled yet; 180 cells.
Result: median test error with all 319 examples 1.8 % (logreg), 2.9 % (mlp), 4.1 % (boosting); AUROC .991, .991, .988;
calibration error .039, .020, .043. From 64 examples on the mlp ranks as well as logreg and is the better calibrated; no
deep learner is ahead by its error. Three mistakes are 1.8 % of 170: what another test set would say differs by ±2 %.
Learning rates and penalties were chosen on the validation split; the test split was only reported.
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
