"""scikit-learn's tools around both estimators, with Sessions and with arrays.

The square case has as many trials as neurons, where nothing but care tells one axis from another.
"""

import warnings

import numpy as np
import pytest
import sklearn
from joblib import Memory
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import neuromask as nm
from neuromask.decoding.baselines import _mean

from .conftest import TINY

TINIER = TINY | {"dim": 8, "max_epochs": 1}
# The first and the last differ in all that the others do.
CASES = [
    "session",
    pytest.param("array", marks=pytest.mark.slow),
    pytest.param("square session", marks=pytest.mark.slow),
    "square array",
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*no\\s+spikes.*"),
    pytest.mark.filterwarnings("ignore:.*fail to converge.*"),
]


@pytest.fixture(params=CASES)
def case(request, session):
    """Give X, a label and a signal, with as many trials as neurons in the square cases."""
    part = session[:15] if "square" in request.param else session[:24]
    X = part if "session" in request.param else part.counts
    y = np.where(np.arange(len(part)) % 2, "left", "right")
    return X, y, part.signals["whisker"]


@pytest.fixture
def unfitted(session):
    """Give an unfitted pretrainer that knows the regions of bare arrays."""
    return nm.MtMPretrainer(**TINIER, regions=session.regions)


def decoder(pre, **options):
    return nm.MtMDecoder(pre, random_state=0, **options)


def logistic():
    return LogisticRegression(max_iter=5000)


def test_a_pipeline_of_embeddings(case, unfitted):
    X, y, _ = case
    pipe = make_pipeline(unfitted, StandardScaler(), logistic())
    assert cross_val_score(pipe, X, y, cv=3).shape == (3,)
    assert cross_val_predict(pipe, X, y, cv=3).shape == (len(y),)


def test_a_union_of_embeddings_and_counts(case, unfitted):
    X, y, _ = case
    union = FeatureUnion([("mtm", unfitted), ("mean", FunctionTransformer(_mean))])
    pipe = make_pipeline(union, StandardScaler(), logistic()).fit(X, y)
    n_embedding = len(pipe[0].transformer_list[0][1].get_feature_names_out())
    assert pipe[0].transform(X).shape == (len(y), n_embedding + 15)


def test_a_search_over_masks_and_widths(case, unfitted):
    X, y, _ = case
    grid = {"mask_ratio": [0.2, 0.4], "dim": [8, 16]}
    assert GridSearchCV(unfitted, grid, cv=2).fit(X).best_score_ == pytest.approx(
        GridSearchCV(unfitted, grid, cv=2, n_jobs=2).fit(X, y).best_score_
    )
    pipe = make_pipeline(unfitted, logistic())
    search = GridSearchCV(pipe, {"mtmpretrainer__dim": [8, 16]}, cv=2).fit(X, y)
    assert search.best_params_["mtmpretrainer__dim"] in (8, 16)
    inside = GridSearchCV(decoder(unfitted), {"pretrainer__dim": [8, 16]}, cv=2).fit(X, y)
    width = inside.best_params_["pretrainer__dim"]
    assert inside.best_estimator_.pretrainer_.model_.config.dim == width


def test_cross_validation_of_decoders(case, pre):
    X, y, whisker = case
    one = cross_val_score(decoder(pre), X, y, cv=3)
    np.testing.assert_array_equal(one, cross_val_score(decoder(pre), X, y, cv=3, n_jobs=2))
    chances = cross_val_predict(decoder(pre), X, y, cv=3, method="predict_proba")
    np.testing.assert_allclose(chances.sum(1), 1)
    for scoring in ("balanced_accuracy", "roc_auc", "neg_log_loss"):
        assert np.isfinite(cross_val_score(decoder(pre), X, y, cv=3, scoring=scoring)).all()
    signals = decoder(pre, task="regression")
    assert cross_val_predict(signals, X, whisker, cv=3).shape == whisker.shape
    for scoring in (None, "r2", "neg_mean_squared_error", "explained_variance"):
        assert np.isfinite(cross_val_score(signals, X, whisker, cv=3, scoring=scoring)).all()
    several = np.stack([whisker, -whisker], -1)
    assert cross_val_score(signals, X, several, cv=3) == pytest.approx(
        cross_val_score(signals, X, whisker, cv=3)
    )


def test_curves_and_permutations(case, pre):
    X, y, _ = case
    cut = StratifiedKFold(2, shuffle=True, random_state=0)
    sizes, training, test = learning_curve(
        decoder(pre), X, y, train_sizes=[0.8, 1.0], cv=cut, shuffle=True, random_state=0
    )
    assert training.shape == test.shape == (2, 2)
    assert (sizes > 0).all()
    score, permuted, p = permutation_test_score(
        decoder(pre), X, y, cv=cut, n_permutations=3, random_state=0
    )
    assert score == pytest.approx(cross_val_score(decoder(pre), X, y, cv=cut).mean())
    assert permuted.shape == (3,)
    assert p == pytest.approx(((permuted >= score).sum() + 1) / 4)


def test_ensembles(case, pre):
    X, y, _ = case
    members = [("mtm", decoder(pre)), ("head", decoder(pre, scheme="neuron"))]
    stack = StackingClassifier(members, final_estimator=logistic(), cv=2).fit(X, y)
    assert stack.predict(X).shape == (len(y),)
    assert VotingClassifier(members, voting="soft").fit(X, y).predict_proba(X).shape == (len(y), 2)
    calibrated = CalibratedClassifierCV(decoder(pre), cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (len(y), 2)


def test_a_transformed_target(case, pre):
    X, _, whisker = case
    speed = np.exp(whisker.mean(1))
    model = TransformedTargetRegressor(
        decoder(pre, task="regression"), func=np.log, inverse_func=np.exp
    ).fit(X, speed)
    assert (model.predict(X) > 0).all()


def test_a_cached_pipeline_pretrains_once(case, unfitted, tmp_path, monkeypatch):
    X, y, _ = case
    fits = []
    real = nm.MtMPretrainer.fit
    monkeypatch.setattr(
        nm.MtMPretrainer, "fit", lambda self, *a, **k: fits.append(1) or real(self, *a, **k)
    )
    memory = Memory(tmp_path, verbose=0)
    pipe = make_pipeline(unfitted, StandardScaler(), logistic(), memory=memory)
    search = GridSearchCV(pipe, {"logisticregression__C": [0.1, 1.0, 10.0]}, cv=2, refit=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
        search.fit(X, y)
    assert len(fits) == 2  # once a fold, for three candidates


def test_metadata_routing(session):
    X, y, regions = session.counts[:24], np.arange(24) % 2, session.regions
    with sklearn.config_context(enable_metadata_routing=True):
        pre = nm.MtMPretrainer(**TINIER).set_fit_request(regions=True)
        pipe = make_pipeline(pre, StandardScaler(), logistic())
        found = cross_validate(
            pipe, X, y, cv=2, params={"regions": regions}, return_estimator=True
        )["estimator"]
        assert found[0][0].regions_.tolist() == sorted(set(regions))
        alone = decoder(nm.MtMPretrainer(**TINIER, regions=regions))
        decoders = cross_validate(alone, X, y, cv=2, params={})  # which scikit-learn 1.6 wants
        assert len(decoders["test_score"]) == 2


def test_named_embeddings(pre, session):
    names = pre.get_feature_names_out()
    frame = pre.set_output(transform="pandas").transform(session)
    pre.set_output(transform="default")
    assert frame.columns.tolist() == names.tolist()
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", ["MtMPretrainer", "MtMDecoder"])
def test_html_shows_parameters_with_their_documentation_and_a_link(pre, session, kind):
    fitted = {"MtMPretrainer": pre, "MtMDecoder": decoder(pre).fit(session, np.arange(48) % 2)}[
        kind
    ]
    shown = fitted._repr_html_()
    assert kind in shown
    assert f"generated/neuromask.{kind}.html" in shown
    assert "random_state" in shown
    if sklearn.__version__ >= "1.8":  # descriptions of parameters came later than the table
        assert "Owns" in shown  # of random_state's description
