import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from neuromask import plots
from neuromask._errors import InvalidInputError

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
    mean = table.loc[table["task"] == "co_smoothing", "bps"].mean()
    assert ax.texts[0].get_text() == f"{mean:.3f}"


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


def test_a_wrong_table_is_named(table):
    with pytest.raises(InvalidInputError, match=r"lacks \['bps'\]"):
        plots.plot_scores(table.drop(columns="bps"))
