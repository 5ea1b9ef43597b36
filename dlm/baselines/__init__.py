"""Classical learners, fitted to the same subsets as the deep ones and named after scikit-learn's classes."""

from dlm.baselines.ensemble import HistGradientBoosting, LightGBM, RandomForest
from dlm.baselines.next_item import ImplicitALS, NextItemKNN, Popularity
from dlm.baselines.ratings import AlternatingLeastSquares, BiasModel, ItemKNN
from dlm.baselines.simple import Bicubic, GaussianNB, KNeighbors, LogisticRegression, Ridge
from dlm.baselines.svm import SVC, MelCepstrumSVC
from dlm.baselines.text import KneserNey, TfidfLogisticRegression
from dlm.baselines.time_series import AutoRegressive, LinearSeries, SeasonalNaive

__all__ = [
    "SVC",
    "AlternatingLeastSquares",
    "AutoRegressive",
    "BiasModel",
    "Bicubic",
    "GaussianNB",
    "HistGradientBoosting",
    "ImplicitALS",
    "ItemKNN",
    "KNeighbors",
    "KneserNey",
    "LightGBM",
    "LinearSeries",
    "LogisticRegression",
    "MelCepstrumSVC",
    "NextItemKNN",
    "Popularity",
    "RandomForest",
    "Ridge",
    "SeasonalNaive",
    "TfidfLogisticRegression",
]
