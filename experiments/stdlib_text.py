"""How much source code must a small transformer read to predict the next byte better than counting n-grams?

    python launch.py --experiment=stdlib_text

Data: the running Python's own standard library, bytes in blocks of 128, whole files held out for validation and test.

Cost on two cores: 16 min with other work on the machine, of which 11 min were this one's on a core; 28 cells.
Result: with 8,192 blocks (1 MB) the n-gram is at 1.60 nats per byte and the transformer at 1.62; with 128 at 2.01 and
2.57. The transformer has nearly caught up; ten times the data would take it to about 1.46 [1.07, 1.68] and the n-gram
to 1.51 [1.33, 1.62]. Test and validation are a few whole files each, whose draw the seeds do not show.
Learning rate (of 0.001 to 0.012) and order (of 5 to 8) were chosen on the validation split.
"""

from dlm import Budget, Hyper, KneserNey, LanguageModelling, Learner, Optimizer, StdlibText, Study, Transformer


def study() -> Study:
    """A transformer and an n-gram model at seven sizes, in blocks of 128 bytes."""
    return Study(
        data=StdlibText(),
        task=LanguageModelling(),
        learners={
            "transformer": Learner(
                Transformer(dim=64, depth=2), Hyper(lr=1e-2, weight_decay=0.1), Optimizer(clip=1.0, b2=0.99)
            ),
            "kneser_ney": KneserNey(order=8),
        },
        train_sizes=(128, 256, 512, 1024, 2048, 4096, 8192),
        seeds=2,
        budget=Budget(epochs=8, min_steps=300, max_steps=2000, batch_size=32, eval_every=100, patience=3),
        targets=(1.5,),
    )
