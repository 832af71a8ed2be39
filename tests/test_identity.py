"""Neurons are known by their names and regions: others, and the same in another order, are refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.errors import InvalidInputError

from .conftest import TINY

FAST = TINY | {"max_epochs": 1}
N = 8
REGIONS = ["VISp", "CA1"] * (N // 2)


def make(names=range(100, 100 + N), column="cluster", regions=REGIONS, seed=0, **fields):
    counts = np.random.default_rng(seed).poisson(1, (12, 10, N))
    table = None if column is None else pd.DataFrame({column: list(names)})
    return nm.Session(counts, regions, neurons=table, **fields)


@pytest.fixture(scope="module")
def named():
    return nm.MtMPretrainer(**FAST).fit(make())


def uses(pre, X, **fields):
    """Give all ways to use a fitted model on trials; `fields` are those of the session to fit."""
    return {
        "predict": lambda: pre.predict(X),
        "transform": lambda: pre.transform(X),
        "translate": lambda: pre.translate(X, source="CA1", target="VISp"),
        "evaluate": lambda: pre.evaluate(X),
        "score": lambda: pre.score(X),
        "fit": lambda: nm.MtMPretrainer(**FAST).fit(make(**fields), X_val=X),
        "decode": lambda: nm.MtMDecoder(pre, random_state=0).fit(X, np.arange(len(X)) % 2),
    }


USES = list(uses(None, None))


@pytest.mark.parametrize("use", USES)
def test_neurons_in_another_order_are_refused_everywhere(named, use):
    backwards = make().select_neurons(np.arange(N)[::-1])
    with pytest.raises(InvalidInputError, match=r"in another order than fit: cluster of neuron 0"):
        uses(named, backwards)[use]()


@pytest.mark.parametrize("use", USES)
def test_another_animal_under_the_same_name_is_refused_everywhere(named, use):
    other = make(range(300, 300 + N))
    with pytest.raises(InvalidInputError, match=r"other neurons.*calibrate or finetune"):
        uses(named, other)[use]()


@pytest.mark.parametrize("use", USES)
def test_another_subject_under_the_same_name_is_refused_everywhere(use):
    fields = {"column": None, "subject": "mouse-1"}
    pre = nm.MtMPretrainer(**FAST).fit(make(**fields))
    X = make(column=None, subject="mouse-2")
    with pytest.raises(InvalidInputError, match=r"'mouse-2' .*'mouse-1' in fit: another animal"):
        uses(pre, X, **fields)[use]()
    assert pre.predict(make(column=None)).shape == (12, 10, N)  # which says nothing of its animal


OTHERS = {
    "names": ({}, {"names": range(300, 300 + N)}, "other neurons than session"),
    "order": ({}, {"names": range(100, 100 + N)[::-1]}, "in another order than fit"),
    "regions": ({}, {"regions": ["LP", "DG"] * (N // 2)}, "region of neuron 0 is 'LP'"),
    "subject": ({"subject": "a"}, {"subject": "b"}, "another animal under a fitted session_id"),
    "bins": ({"bin_width": 0.02}, {"bin_width": 0.01}, "bins of 0.01 s"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_warm_start_never_goes_on_from_weights_of_other_neurons(other):
    before, now, why = OTHERS[other]
    pre = nm.MtMPretrainer(**FAST, warm_start=True).fit(make(**before))
    with pytest.warns(nm.NeuromaskWarning, match=f"fit: warm_start=True, but .*{why}.* anew"):
        pre.fit(make(**now))
    assert pre.history_["epoch"].tolist() == [1]
    anew = nm.MtMPretrainer(**FAST).fit(make(**now))
    np.testing.assert_array_equal(pre.predict(make(**now)), anew.predict(make(**now)))


def test_warm_start_never_goes_on_with_other_bins_or_regions_given_to_fit():
    session = make(column=None, bin_width=0.02)
    pre = nm.MtMPretrainer(**FAST, warm_start=True).fit(session)
    with pytest.warns(nm.NeuromaskWarning, match=r"bins of 0\.04 s.*starts anew"):
        pre.set_params(rebin=0.04).fit(session)
    with pytest.warns(
        nm.NeuromaskWarning,
        match=r"in other regions than in fit\. Give the regions of fit, .*own\. Training starts",
    ):
        pre.fit(session, regions=["LP", "DG"] * (N // 2))
    assert pre.history_["epoch"].tolist() == [1]
    pre.fit(session, regions=["LP", "DG"] * (N // 2))
    assert pre.history_["epoch"].tolist() == [1, 2]


def test_the_message_gives_the_order_that_mends_it(named):
    shuffled = np.random.default_rng(1).permutation(N)
    X = make().select_neurons(shuffled)
    with pytest.raises(InvalidInputError) as caught:
        named.predict(X)
    recipe = re.search(r"which is (\[.*\])\. If", str(caught.value)).group(1)
    order = eval(recipe, {"X": X, "model": named})
    mended = X.select_neurons(order)
    np.testing.assert_array_equal(mended.counts, make().counts)
    assert named.predict(mended).shape == mended.shape


@pytest.mark.parametrize("column", ["uuid", "uuids", "id", "unit_id", "cluster_id", "cluster"])
def test_every_usual_column_names_neurons(column):
    names = [f"n{i}" for i in range(N)]
    pre = nm.MtMPretrainer(**FAST).fit(make(names, column))
    assert pre.sessions_["session"].identity[column] == tuple(names)
    with pytest.raises(InvalidInputError, match=f"{column} of neuron 0 is 'n7' and was 'n0'"):
        pre.predict(make(names[::-1], column))


def test_of_several_columns_the_first_counts():
    table = pd.DataFrame({"cluster": range(N), "uuid": list("abcdefgh")})
    session = nm.Session(make().counts, REGIONS, neurons=table)
    assert session.identity == {"uuid": tuple("abcdefgh"), "region": tuple(REGIONS)}


def test_regions_tell_neurons_apart_where_they_have_no_names():
    pre = nm.MtMPretrainer(**FAST).fit(make(column=None))
    with pytest.raises(InvalidInputError, match=r"another order.*region of neuron 0 is 'CA1'"):
        pre.predict(make(column=None, regions=REGIONS[::-1]))
    with pytest.raises(InvalidInputError, match="other neurons.*'LP' and was 'VISp'"):
        pre.predict(make(column=None, regions=["LP", "CA1"] * (N // 2)))


def test_the_same_names_in_other_regions_are_another_animal(named):
    with pytest.raises(InvalidInputError, match="region of neuron 0 is 'LP' and was 'VISp'"):
        named.predict(make(regions=["LP", "CA1"] * (N // 2)))


def test_what_says_nothing_of_its_neurons_is_as_easy_as_ever(named):
    X = make()
    wanted = named.predict(X)
    for bare in (X.counts, X.counts.tolist(), nm.Session(X.counts), make(column=None)):
        np.testing.assert_array_equal(named.predict(bare), wanted)
    plain = nm.MtMPretrainer(**FAST, regions=REGIONS).fit(X.counts)
    np.testing.assert_array_equal(plain.predict(X), plain.predict(X.counts))
    with pytest.raises(InvalidInputError, match="region of neuron 0"):
        plain.predict(make(regions=REGIONS[::-1]))


def test_regions_given_to_fit_do_not_make_a_session_another(named):
    coarse = ["cortex", "hippocampus"] * (N // 2)
    pre = nm.MtMPretrainer(**FAST).fit(make(), regions=coarse)
    assert pre.sessions_["session"].regions == tuple(coarse)
    assert set(pre.evaluate(make(), tasks=["inter_region"])["region"]) == set(coarse)


def test_numbers_are_the_same_names_whatever_holds_them(named):
    wanted = named.predict(make())
    for kept in (float, str, object, np.uint16):
        names = np.arange(100, 100 + N).astype(kept)
        np.testing.assert_array_equal(named.predict(make(names)), wanted)


def test_names_survive_the_disk(named, tmp_path):
    again = nm.load(named.save(tmp_path / "m"))
    assert again.sessions_ == named.sessions_
    X = nm.load_npz(make().save(tmp_path / "s"))
    np.testing.assert_array_equal(again.predict(X), named.predict(make()))
    with pytest.raises(InvalidInputError, match="another order"):
        again.predict(X.select_neurons(np.arange(N)[::-1]))


def test_a_model_of_format_1_knows_neurons_by_their_regions(tmp_path):
    from .test_old_models import FOLDER

    pre = nm.load(FOLDER / "ndt1")
    info = pre.sessions_["sim-0"]
    described = json.loads((FOLDER / "ndt1" / "model.json").read_text())
    assert info.identity == {"region": tuple(described["sessions"][0]["regions"])}
    with np.load(FOLDER / "expected.npz") as file:
        counts = file["known_counts"]
    known = nm.Session(counts, info.regions, session_id="sim-0")
    assert pre.predict(known).shape == known.shape
    with pytest.raises(InvalidInputError, match="another order"):
        pre.predict(known.select_neurons(np.arange(known.n_neurons)[::-1]))


def test_adapted_models_know_their_new_neurons():
    sessions = [make(seed=i, session_id=f"s{i}") for i in range(3)]
    pre = nm.MtMPretrainer(**FAST).fit(sessions[:2])
    backwards = sessions[2].select_neurons(np.arange(N)[::-1])
    for new in (pre.calibrate(sessions[2]), pre.finetune(sessions[2], max_epochs=1)):
        assert new.predict(sessions[2]).shape == sessions[2].shape
        with pytest.raises(InvalidInputError, match="session 's2' in another order"):
            new.predict(backwards)


def test_sessions_of_spike_times_are_known_by_their_clusters():
    def recording(first):
        rng = np.random.default_rng(0)
        trains = {first + i: np.sort(rng.uniform(0, 60, 200)) for i in range(N)}
        return nm.from_spike_times(trains, None, REGIONS, np.arange(2, 58, 4.0))

    pre = nm.MtMPretrainer(**FAST).fit(recording(0))
    assert pre.predict(recording(0)).shape == recording(0).shape
    with pytest.raises(InvalidInputError, match="cluster of neuron 0 is '300' and was '0'"):
        pre.predict(recording(300))
