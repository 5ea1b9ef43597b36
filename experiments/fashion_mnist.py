"""How many pictures of clothes does it take to tell them apart, and do convolution or attention pay for themselves?

    python launch.py --experiment=fashion_mnist --data_dir=FOLDER

Data: TFDS `fashion_mnist` (Xiao et al. 2017), prepared as array_record in FOLDER or TFDS_DATA_DIR; 10,000 of its 60,000
training images are held out for validation, its 10,000 test images are the test split.

Cost on two cores: 11 min, of which cnn 4 and vit 6; 84 cells. `--train_sizes=100,1000,10000 --seeds=1` takes 2 min.
Result: mean test error with 50,000 examples 11.2 % (mlp), 8.3 % (cnn), 12.5 % (vit), 15.7 % (logreg). The cnn overtakes
the mlp at about 400 examples; the vit overtakes logreg at about 7,000 and has not caught up with the mlp at 50,000.
The numbers were chosen on the validation split, of 50,000 examples alone; the test split was only reported.
"""

from dlm import CNN, MLP, Budget, Classification, Hyper, Learner, LogisticRegression, Optimizer, Study, Tfds, ViT


def study() -> Study:
    """Four learners at seven sizes, three seeds each."""
    return Study(
        data=Tfds("fashion_mnist", validation=10_000),
        task=Classification(),
        learners={
            "mlp": Learner(MLP((256, 256)), Hyper(lr=1e-3, weight_decay=0.1)),
            "cnn": Learner(CNN((32, 64), (0, 1), stem_stride=2, head="flatten"), Hyper(lr=2e-3, weight_decay=0.1)),
            "vit": Learner(ViT(patch=7, dim=64, depth=4), Hyper(lr=1e-3, weight_decay=0.1), Optimizer(clip=1.0)),
            "logreg": LogisticRegression(max_iter=100),
        },
        train_sizes=(100, 300, 1000, 3000, 10_000, 25_000, 50_000),
        seeds=3,
        budget=Budget(epochs=8, min_steps=300, max_steps=6000),
        targets=(0.10, 0.08),
    )
