"""Classical learners, run on the very same subsets as the deep ones."""

from dlm.baselines.bayes import NaiveBayes
from dlm.baselines.bicubic import Bicubic
from dlm.baselines.boosting import GradientBoosting
from dlm.baselines.forecasting import AutoRegressive, LinearSeries, SeasonalNaive
from dlm.baselines.forest import RandomForest
from dlm.baselines.lightgbm_trees import LightGBM
from dlm.baselines.linear import LogisticRegression, Ridge
from dlm.baselines.neighbours import NearestNeighbours
from dlm.baselines.ngram import KneserNey
from dlm.baselines.recommending import AlternatingLeastSquares, BiasModel, ItemNeighbours
from dlm.baselines.recommending_next import ImplicitALS, NextNeighbours, Popularity
from dlm.baselines.sound import MelSupportVectors
from dlm.baselines.text import BagOfWords
from dlm.baselines.vectors import SupportVectors

__all__ = [
    "AlternatingLeastSquares",
    "AutoRegressive",
    "BagOfWords",
    "BiasModel",
    "Bicubic",
    "GradientBoosting",
    "ImplicitALS",
    "ItemNeighbours",
    "KneserNey",
    "LightGBM",
    "LinearSeries",
    "LogisticRegression",
    "MelSupportVectors",
    "NaiveBayes",
    "NearestNeighbours",
    "NextNeighbours",
    "Popularity",
    "RandomForest",
    "Ridge",
    "SeasonalNaive",
    "SupportVectors",
]
