"""How many correctly labelled digits equal one digit whose label is wrong with probability 20 %?

    python launch.py --experiment=noisy_digits

Data: as experiments/digits.py; training labels are replaced by another class, validation and test stay clean.

Cost on two cores: about a minute; 216 cells.
Result: with 1,257 examples the median test error of the mlp is 2.2 %, and 5.6 % and 11.9 % with 20 % and 40 % of labels
wrong; the data-equivalence ratio to clean examples is 0.31 [0.23, 0.39] with 20 % and 0.09 [0.06, 0.12] with 40 %.
Strongly penalized logreg, worse without noise, is hardly affected: 6.0 %, 6.4 %, 7.2 %.
The numbers were chosen on the validation split; the test split was only reported.
"""

from dlm import MLP, Budget, Classification, Digits, Hyper, Learner, LogisticRegression, Study, grid


def study() -> Study:
    """Two learners at six sizes, six seeds each, with clean labels and two shares of wrong ones."""
    return Study(
        data=Digits(),
        task=Classification(),
        learners={
            "mlp": Learner(MLP((128, 128)), Hyper(lr=3e-3, weight_decay=0.1)),
            "logreg": LogisticRegression(C=0.1),
        },
        train_sizes=(40, 80, 160, 320, 640, 1257),
        seeds=6,
        budget=Budget(epochs=40, min_steps=200),
        axes=grid({"noise.label": (0.0, 0.2, 0.4)}),
        targets=(0.05,),
    )
