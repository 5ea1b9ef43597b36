"""Classical learners, run on the very same subsets as the deep ones."""

from dlm.baselines.bicubic import Bicubic
from dlm.baselines.ensemble import GradientBoosting, LightGBM, RandomForest
from dlm.baselines.linear import LogisticRegression, Ridge
from dlm.baselines.naive_bayes import NaiveBayes
from dlm.baselines.neighbors import NearestNeighbours
from dlm.baselines.next_item import ImplicitALS, NextNeighbours, Popularity
from dlm.baselines.ratings import AlternatingLeastSquares, BiasModel, ItemNeighbours
from dlm.baselines.svm import MelSupportVectors, SupportVectors
from dlm.baselines.text import BagOfWords, KneserNey
from dlm.baselines.time_series import AutoRegressive, LinearSeries, SeasonalNaive

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
