"""Classifiers that features are judged by: the accuracy on the test part."""

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

PENALTIES = [*(10.0**power for power in range(-4, 5)), 1e10]  # C; the last one is "none"


def svm(a: np.ndarray, labels: np.ndarray, b: np.ndarray, truth: np.ndarray) -> float:
    """An RBF SVM on features as they are, its C chosen by 5-fold cross-validation.

    The protocol of Franceschi, Dieuleveut & Jaggi 2019, section 5.1.
    """
    fewest = np.unique(labels, return_counts=True)[1].min()
    if fewest < 2:
        return float(SVC(C=1e10).fit(a, labels).score(b, truth))
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=0)
    search = GridSearchCV(SVC(), {"C": PENALTIES}, cv=folds)
    return float(search.fit(a, labels).score(b, truth))


def logistic(a: np.ndarray, labels: np.ndarray, b: np.ndarray, truth: np.ndarray) -> float:
    """Logistic regression on standardised features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return float(model.fit(a, labels).score(b, truth))


def ridge(a: np.ndarray, labels: np.ndarray, b: np.ndarray, truth: np.ndarray) -> float:
    """A ridge classifier on standardised features, its penalty chosen by leave-one-out."""
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    return float(model.fit(a, labels).score(b, truth))


def nearest(a: np.ndarray, labels: np.ndarray, b: np.ndarray, truth: np.ndarray) -> float:
    """The label of the nearest neighbour by Euclidean distance."""
    return float(KNeighborsClassifier(1).fit(a, labels).score(b, truth))
