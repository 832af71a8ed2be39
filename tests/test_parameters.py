"""Parameters of the wrong type are refused by name, and odd ones mean what they say."""

import copy
import inspect

import numpy as np
import pandas as pd
import pytest
import sklearn

import neuromask as nm
from neuromask.baselines import PSTH, MeanRate, PoissonGLM
from neuromask.errors import InvalidInputError

from .conftest import TINY

NAMES = list(inspect.signature(nm.MtMPretrainer).parameters)
FAST = TINY | {"max_epochs": 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_of_the_wrong_type_is_refused_by_its_name(session, name):
    for bad in (object(), 1.5j, np.arange(3) > 1, [[None]]):
        if name == "ignore_regions" and isinstance(bad, (list, np.ndarray)):
            continue  # names of regions may be anything
        pre = nm.MtMPretrainer(**FAST | {name: bad})
        with pytest.raises(InvalidInputError, match=f"^MtMPretrainer.fit: .*{name.rstrip('s')}"):
            pre.fit(session)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("device", None, "device=None; expected 'auto'"),
        ("schemes", 1, "schemes=1; expected a name"),
        ("schemes", {"neuron", "causal"}, "expected a name, a Scheme, or a list"),
        ("schemes", [], "at least one scheme"),
        ("mask_ratio", (), r"mask_ratio=\(\); expected a number"),
        ("backbone", ["ndt1"], r"unknown backbone \['ndt1'\]"),
        ("prompted", "yes", "prompted='yes'; expected one of"),
        ("precision", 16, "precision=16; expected one of"),
        ("ignore_regions", 3, "ignore_regions=3; expected a name or several"),
    ],
)
def test_what_is_expected_is_said(session, name, value, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.MtMPretrainer(**FAST | {name: value}).fit(session)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("n_iter_no_change", 0), ("session_sampling", "x"), ("dropout", -1)],
)
@pytest.mark.parametrize("method", ["finetune", "calibrate"])
def test_parameters_set_after_fit_are_checked_before_they_are_used(name, value, method):
    *known, new = nm.simulate(20, n_sessions=3, n_neurons=8, n_time=12, random_state=0)
    pre = nm.MtMPretrainer(**FAST).fit(known).set_params(**{name: value})
    with pytest.raises(InvalidInputError, match=rf"^MtMPretrainer\.{method}: {name}={value!r}"):
        getattr(pre, method)(new)


def test_pooling_set_after_fit_is_checked(pre, session):
    changed = copy.copy(pre).set_params(pooling="maen")
    with pytest.raises(InvalidInputError, match=r"transform: pooling='maen'.*Did you mean 'mean'"):
        changed.transform(session)


def test_paths_of_the_wrong_type_are_refused(pre, session):
    for call in (lambda: pre.save(None), lambda: nm.load(1), lambda: nm.load_npz(b"x")):
        with pytest.raises(InvalidInputError, match="expected a path"):
            call()
    with pytest.raises(InvalidInputError, match="path=3; expected a path"):
        session.save(3)


def ignored(table):
    return set(table.loc[table["reason"] == "in ignore_regions", "name"])


@pytest.mark.parametrize("given", ["CA1", ["CA1"], {"CA1"}, pd.Series(["CA1"])], ids=type)
def test_one_ignored_region_is_ignored_however_it_is_given(session, given):
    listed = nm.MtMPretrainer(**FAST, ignore_regions=("CA1",)).fit(session)
    pre = nm.MtMPretrainer(**FAST, ignore_regions=given).fit(session)
    assert ignored(pre.excluded_) == {"CA1"}
    np.testing.assert_array_equal(pre.predict(session), listed.predict(session))
    table = pre.evaluate(session, tasks=["inter_region"])
    assert set(table["region"]) == {"VISp", "root"}


def test_a_reversed_session_is_fitted_predicted_and_decoded_as_a_copy_of_it(session):
    backwards = session[::-1]
    copied = nm.Session(
        session.counts[::-1].copy(),
        session.regions,
        bin_width=session.bin_width,
        session_id=session.session_id,
    )
    fits = [nm.MtMPretrainer(**FAST).fit(s) for s in (backwards, copied)]
    rates = [fits[0].predict(backwards), fits[1].predict(copied)]
    np.testing.assert_array_equal(*rates)
    hidden = np.zeros(session.shape, bool)
    hidden[:, :5] = True
    later = [fits[0].predict(session, hidden=h) for h in (hidden[:, ::-1], hidden[:, ::-1].copy())]
    np.testing.assert_array_equal(*later)
    for task, y in (
        ("classification", backwards.trials["choice"].to_numpy()),
        ("regression", backwards.signals["whisker"]),
    ):
        decoder = nm.MtMDecoder(fits[0], task=task, finetune="full", max_epochs=1, random_state=0)
        assert len(decoder.fit(backwards, y).predict(backwards)) == len(session)


@pytest.mark.parametrize("everywhere", [False, True])
def test_tables_of_what_is_not_pooled_are_refused_with_the_way_out(session, everywhere):
    pre = nm.MtMPretrainer(**FAST, pooling="none").fit(session)
    if everywhere:
        with sklearn.config_context(transform_output="pandas"):
            with pytest.raises(InvalidInputError, match=r"transform: pooling=\"none\" gives"):
                pre.transform(session)
            pre.set_output(transform="default")
            assert pre.transform(session).ndim == 3
    else:
        pre.set_output(transform="pandas")
        with pytest.raises(InvalidInputError, match='use pooling="mean"'):
            pre.transform(session)
        pre.set_params(pooling="mean")
        assert isinstance(pre.transform(session), pd.DataFrame)


def test_regions_that_a_session_carries_count_for_more_than_the_constructors(session):
    same = nm.MtMPretrainer(**FAST, regions=session.regions).fit(session)
    assert same.sessions_[session.session_id].regions == tuple(session.regions)
    for other in (np.roll(session.regions, 1), session.regions[:-1]):
        with pytest.raises(InvalidInputError, match=r"fit: .*regions"):
            nm.MtMPretrainer(**FAST, regions=other).fit(session)
    bare = nm.MtMPretrainer(**FAST, regions=np.roll(session.regions, 1)).fit(session.counts)
    assert bare.sessions_["session"].regions == tuple(np.roll(session.regions, 1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bin_width": "x"}, "bin_width='x'; expected a positive number"),
        ({"bin_width": [0.1]}, "expected a positive number"),
        ({"trials": 3}, "trials is a int that is no table"),
        ({"neurons": "abc"}, "neurons is a str that is no table"),
        ({"signals": [1]}, "signals is a list; expected a mapping"),
        ({"signals": {"a": [[1], [1, 2]]}}, "signal 'a' is a list that cannot be read as an array"),
        ({"rates": "x"}, "rates is a str that cannot be read as an array"),
        ({"report": 3}, "report is no table"),
        ({"t_start": "x"}, "t_start='x'; expected seconds"),
    ],
)
def test_fields_of_a_session_of_the_wrong_type_are_refused(fields, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.Session(np.ones((2, 3, 4), int), **fields)


def test_rebin_refuses_what_is_no_number(session):
    with pytest.raises(InvalidInputError, match="bin_width='x'; expected a positive number"):
        session.rebin("x")


def test_arguments_of_the_wrong_type_are_refused(pre, session):
    ragged = [[1], [1, 2]]
    for call, message in (
        (lambda: pre.predict(session, hidden=ragged), "predict: hidden is a list that cannot"),
        (lambda: pre.evaluate(session, tasks=1), "evaluate: tasks=1; expected a name or several"),
        (lambda: pre.evaluate(session, neurons=ragged), "evaluate: neurons is a list that cannot"),
        (lambda: session.select_neurons(ragged), "neurons can be chosen by a slice"),
        (
            lambda: nm.MtMPretrainer(**FAST).fit([session, session], regions=3),
            "fit: regions=3 for 2 sessions; expected a list",
        ),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()


@pytest.mark.parametrize("of", [lambda s: s, lambda s: s.counts], ids=["sessions", "arrays"])
def test_a_list_where_one_session_is_expected_is_named(pre, session, of):
    several = [of(session), of(session)]
    for call in (pre.predict, pre.transform, MeanRate().fit, PSTH().fit, PoissonGLM().fit):
        with pytest.raises(InvalidInputError, match=r"X is a list of 2 sessions; expected one"):
            call(several)
