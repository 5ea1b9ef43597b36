"""How much Shakespeare must a small transformer read to predict the next byte better than counting n-grams?

    python launch.py --experiment=shakespeare --data_dir=FOLDER

Data: TFDS `tiny_shakespeare`, prepared as array_record in FOLDER or TFDS_DATA_DIR: 1.1 MB of plays, bytes in blocks of
128, in its own train, validation and test splits.

Cost on two cores: 10 min beside other work, 10 min of one core in all; 28 cells.
Result: with 7,842 blocks (1 MB) the n-gram is at 1.60 nats per byte and the transformer at 1.67; with 128 at 2.10 and
2.44. Ten times the data would take them to about 1.49 [1.23, 1.74] and 1.47 [1.08, 1.77].
Learning rate and order are those chosen on the validation split of stdlib_text.
"""

from dlm import Budget, Hyper, KneserNey, LanguageModelling, Learner, Optimizer, Study, Tfds, Transformer


def study() -> Study:
    """A transformer and an n-gram model at seven sizes, in blocks of 128 bytes."""
    return Study(
        data=Tfds("tiny_shakespeare", length=128),
        task=LanguageModelling(),
        learners={
            "transformer": Learner(
                Transformer(dim=64, depth=2), Hyper(lr=1e-2, weight_decay=0.1), Optimizer(clip=1.0, b2=0.99)
            ),
            "kneser_ney": KneserNey(order=8),
        },
        train_sizes=(128, 256, 512, 1024, 2048, 4096, 7842),
        seeds=2,
        budget=Budget(epochs=8, min_steps=300, max_steps=2000, batch_size=32, eval_every=100, patience=3),
        targets=(1.5,),
    )
