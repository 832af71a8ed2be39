import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask import plots
from neuromask.errors import InvalidInputError

mpl.use("agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def table(pre, session):
    return pre.evaluate(session)


def test_scores_shows_each_task_and_its_mean(table):
    ax = plots.plot_scores(table)
    labels = [t.get_text() for t in ax.get_xticklabels()]
    assert labels == ["co-smoothing", "forward", "intra-region", "inter-region"]
    means = nm.summarise(table)["bps"]
    assert [t.get_text() for t in ax.texts] == [f"{mean:.3f}" for mean in means]


def test_neurons_of_few_spikes_are_rings_outside_the_means(table):
    part = table[table["task"] == "co_smoothing"].assign(n_spikes=50)
    part.iloc[3, part.columns.get_loc("n_spikes")] = 9
    part.iloc[3, part.columns.get_loc("bps")] = -300.0
    ax = plots.plot_scores(part)
    mean = part["bps"].drop(part.index[3]).mean()
    assert [t.get_text() for t in ax.texts] == [f"{mean:.3f}"]
    rings, dots = ax.collections[:2]
    assert len(rings.get_offsets()) == 1
    assert len(dots.get_offsets()) == len(part) - 1
    every = plots.plot_scores(part, min_spikes=1)
    assert every.texts[0].get_text() == f"{part['bps'].mean():.3f}"
    regions = plots.plot_regions(part)
    drawn = np.array(regions.containers[0].lines[0].get_ydata(), float)
    counted = part[part["n_spikes"] >= 10].groupby("region")["bps"].mean()
    np.testing.assert_allclose(drawn, counted)


def test_regions(table):
    ax = plots.plot_regions(table)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["CA1", "VISp", "root"]


def test_history_draws_a_line_a_scheme(pre):
    history = pd.concat([pre.history_, pre.history_.assign(epoch=pre.history_["epoch"] + 3)])
    ax = plots.plot_history(history.reset_index())
    assert len(ax.get_lines()) == 4 + 1


def test_rates(pre, session):
    figure = plots.plot_rates(
        session.counts, pre.predict(session), true_rates=session.rates, neurons=[0, 3]
    )
    assert len(figure.axes) == 4
    with pytest.raises(InvalidInputError, match="expected the same"):
        plots.plot_rates(session.counts, np.ones((2, 2)))


def test_comparison_pairs_neurons(table):
    axes = plt.figure().add_subplot()
    ax = plots.plot_comparison(table, table.sample(frac=1, random_state=0), ax=axes)
    assert ax is axes
    for points in ax.collections:
        known = points.get_offsets()
        known = known[~np.isnan(known).any(1)]
        np.testing.assert_array_equal(known[:, 0], known[:, 1])


def test_comparison_of_different_recordings_is_refused(table):
    with pytest.raises(InvalidInputError, match="no session, task and neuron in common"):
        plots.plot_comparison(table, table.assign(session="another"))


def test_silent_neurons_and_unscored_histories_are_drawn(table, pre):
    silent = table.assign(bps=table["bps"].where(table["task"] != "inter_region"))
    assert len(plots.plot_scores(silent).texts) == 3
    plots.plot_scores(table.assign(bps=np.nan))
    plots.plot_regions(silent)
    plots.plot_comparison(silent, table)
    plots.plot_history(pre.history_.assign(val_bps=np.nan))
    unscored = pre.history_[["epoch", "train_loss"]]
    line = plots.plot_history(unscored).get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), unscored["train_loss"])


def test_everything_draws_where_asked(table, pre):
    figure, axes = plt.subplots(3)
    assert plots.plot_scores(table, ax=axes[0]) is axes[0]
    assert plots.plot_regions(table, ax=axes[1]) is axes[1]
    assert plots.plot_history(pre.history_, ax=axes[2]) is axes[2]
    assert plt.get_fignums() == [figure.number]


def test_rates_are_in_hertz_at_the_centres_of_bins(session):
    figure = plots.plot_rates(session.counts, session.rates, neurons=[2], bin_width=0.02)
    line = figure.axes[1].get_lines()[1]
    np.testing.assert_allclose(line.get_xdata()[:2], [0.01, 0.03])
    np.testing.assert_allclose(line.get_ydata(), session.rates[:, :, 2].mean(0) / 0.02)
    figure = plots.plot_rates(
        session.counts, session.rates, neurons=[2], bin_width=0.02, t_start=-0.1
    )
    np.testing.assert_allclose(figure.axes[1].get_lines()[1].get_xdata()[:2], [-0.09, -0.07])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"trial": 48}, "trial=48; expected one of the 48 trials"),
        ({"neurons": [15]}, "expected numbers from 0 to 14"),
        ({"neurons": []}, "expected numbers from 0 to 14"),
        ({"true_rates": np.ones((2, 2))}, "and true_rates"),
    ],
)
def test_rates_of_what_is_not_there_are_refused(session, parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        plots.plot_rates(session.counts, session.rates, **parameters)


def test_without_matplotlib_the_extra_is_named(session, monkeypatch):
    table = pd.DataFrame({"task": ["co_smoothing"], "n_spikes": [20], "bps": [0.1]})
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"plot_scores: .*neuromask\[plots\]"):
        plots.plot_scores(table)
    with pytest.raises(ImportError, match=r"plot_rates: .*neuromask\[plots\]"):
        plots.plot_rates(session.counts, session.rates)


def test_a_wrong_table_is_named(table):
    with pytest.raises(InvalidInputError, match=r"lacks \['bps'\]"):
        plots.plot_scores(table.drop(columns="bps"))


def test_decoders_show_scores_intervals_and_folds():
    folds = [{"model": m, "score": s} for m in ("MtM", "mean") for s in (0.7, 0.8)]
    table = pd.DataFrame(
        {
            "model": ["MtM", "mean"],
            "score": [0.75, 0.7],
            "ci_low": [0.7, 0.6],
            "ci_high": [0.8, 0.8],
        }
    )
    table.attrs["folds"] = folds
    ax = plots.plot_decoders(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["MtM", "mean"]
    assert [t.get_text() for t in ax.texts] == ["0.750", "0.700"]
    assert ax.collections[0].get_offsets()[:, 0].tolist() == [0.7, 0.8]
    with pytest.raises(InvalidInputError, match="plot_decoders: the table lacks"):
        plots.plot_decoders(table.drop(columns="ci_low"))


def test_region_importance_has_a_bar_a_region():
    table = pd.DataFrame(
        {
            "region": ["VISp", "CA1"],
            "n_neurons": [4, 3],
            "importance": [0.3, -0.01],
            "importance_se": [0.05, 0.02],
        }
    )
    ax = plots.plot_region_importance(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["VISp (4)", "CA1 (3)"]
    assert [bar.get_width() for bar in ax.patches] == [0.3, -0.01]


@pytest.mark.parametrize("known", [True, False])
def test_time_course_is_in_seconds_where_they_are_known(known):
    table = pd.DataFrame(
        {
            "fold": [0, 0, 1, 1],
            "bin": [0, 1, 0, 1],
            "time": [0.02, 0.04, 0.02, 0.04] if known else np.nan,
            "score": [0.5, 0.8, 0.6, 1.0],
        }
    )
    ax = plots.plot_time_course(table, chance=0.5)
    line = ax.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), [0.02, 0.04] if known else [0, 1])
    np.testing.assert_allclose(line.get_ydata(), [0.55, 0.9])
    assert ax.get_xlabel() == ("time (s)" if known else "bin")


@pytest.fixture
def compared():
    rows = [
        {"session": s, "seed": 0, "model": m, "task": t, "bps_weighted": b + 0.1 * (m == "MtM")}
        for t in ("co_smoothing", "inter_region")
        for s, b in (("a", 0.1), ("b", 0.3))
        for m in ("MtM", "temporal")
    ]
    return pd.DataFrame(rows)


def test_paired_scatters_a_dot_a_session(compared):
    figure = plots.plot_paired(compared)
    assert len(figure.axes) == 2
    (dots,) = figure.axes[0].collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.1, 0.2], [0.3, 0.4]])
    assert "2 of 2 above" in figure.axes[0].get_title()
    own = compared.replace({"MtM": "wide", "temporal": "narrow"})
    (dots,) = plots.plot_paired(own).axes[0].collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.1, 0.2], [0.3, 0.4]])
    with pytest.raises(InvalidInputError, match=r"models \['wide'\]; expected two"):
        plots.plot_paired(own[own["model"] == "wide"])
    with pytest.raises(InvalidInputError, match="no model 'GLM'"):
        plots.plot_paired(compared, models=("GLM", "MtM"))
    with pytest.raises(InvalidInputError, match="lacks"):
        plots.plot_paired(compared.drop(columns="seed"))


def test_scaling_draws_a_line_a_model_with_error_bars(compared):
    bps = compared["bps_weighted"]
    table = pd.concat([compared.assign(n_sessions=n, bps_weighted=bps + n) for n in (1, 3)])
    figure = plots.plot_scaling(table)
    axes = figure.axes
    assert len(axes) == 2
    assert len(axes[0].containers) == 2
    line = axes[0].containers[0].lines[0]
    np.testing.assert_allclose(np.array(line.get_data(), float), [[1, 3], [1.3, 3.3]])
    with pytest.raises(InvalidInputError, match="n_sessions"):
        plots.plot_scaling(compared)


def triangles(ax):
    """Give the places of marks that are drawn where the axes do not cut them."""
    marks = [c for c in ax.collections if not c.get_clip_on()]
    return np.concatenate([np.asarray(c.get_offsets()) for c in marks] or [np.empty((0, 2))])


def test_neurons_below_the_axes_are_marked_at_their_edge():
    bps = np.r_[-300.0, np.linspace(0.0, 0.5, 150)]
    table = pd.DataFrame({"task": "co_smoothing", "n_spikes": 50, "bps": bps})
    ax = plots.plot_scores(table)
    bottom = ax.get_ylim()[0]
    assert (bps < bottom).sum() == 1
    np.testing.assert_allclose(triangles(ax)[:, 1], [bottom])
    assert not len(triangles(plots.plot_scores(table[1:])))


def test_neurons_beyond_a_comparison_are_marked_at_its_edges():
    inside = np.linspace(0.0, 0.5, 1000)
    a, b = np.r_[-300.0, 0.2, 0.3, inside], np.r_[0.1, 90.0, np.nan, inside]
    table = pd.DataFrame({"session": "s", "task": "co_smoothing", "neuron": np.arange(1003)})
    ax = plots.plot_comparison(table.assign(bps=a), table.assign(bps=b))
    low, high = ax.get_xlim()
    known = np.isfinite(b)
    outside = known & ((np.minimum(a, b) < low) | (np.maximum(a, b) > high))
    expected = np.clip(np.stack([a, b], 1)[outside], low, high)
    assert outside[:2].all()
    np.testing.assert_allclose(np.sort(triangles(ax), 0), np.sort(expected, 0))


def test_rates_are_drawn_where_something_was_observed():
    counts = np.ones((4, 6, 2))
    counts[:2, 3:, 0] = np.nan
    counts[:, 5] = np.nan
    session = nm.Session(counts, bin_width=0.02, t_start=-0.04)
    figure = nm.plots.plot_rates(session, np.full((4, 6, 2), 0.5), neurons=[0])
    one, mean = figure.axes
    heights = [bar.get_height() for bar in one.patches]
    np.testing.assert_array_equal(heights, [50, 50, 50, np.nan, np.nan, np.nan])
    observed, predicted = mean.lines
    np.testing.assert_array_equal(observed.get_ydata(), [50, 50, 50, 50, 50, np.nan])
    np.testing.assert_array_equal(predicted.get_ydata(), [25, 25, 25, 25, 25, np.nan])
    np.testing.assert_allclose(observed.get_xdata()[0], -0.03)
