"""A DataArray is read by the names of its dims and by its coordinates, or refused by name."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import neuromask as nm
from neuromask.errors import InvalidInputError, NeuromaskWarning

COUNTS = np.random.default_rng(0).poisson(0.7, (6, 4, 5))
DIMS = ("trial", "time", "unit")


def array(dims=DIMS, time=None, **coords):
    coords = {name: (dims[axis], values) for name, (axis, values) in coords.items()}
    data = xr.DataArray(COUNTS, dims=dims, coords=coords)
    return data if time is None else data.assign_coords({dims[1]: time})


def pretrainer(**more):
    return nm.MtMPretrainer(dim=8, n_layers=1, max_epochs=1, random_state=0, **more)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize(
    "dims",
    [
        DIMS,
        ("trials", "bins", "neurons"),
        ("presentation", "time_bin", "neuroid"),
        ("stimulus_presentation_id", "time_relative_to_stimulus_onset", "unit_id"),
        ("stimulus", "time", "cell"),
        ("epoch", "lag", "channel"),
        ("Trial", "Time", "who"),
    ],
)
def test_dims_are_known_by_name_in_any_order(dims, order):
    given = array(dims).transpose(*(dims[axis] for axis in order))
    np.testing.assert_array_equal(nm.Session.from_xarray(given).counts, COUNTS)


@pytest.mark.parametrize(
    "dims", [("a", "b", "c"), ("trial", "b", "c"), ("unit", "cell", "time"), ("x", "y", "unit")]
)
def test_dims_that_leave_a_doubt_are_refused_by_name(dims):
    with pytest.raises(
        InvalidInputError, match=rf"dims are \('{dims[0]}'.*which do not say.*rename"
    ):
        nm.Session.from_xarray(array(dims))


def test_dims_without_names_go_by_position():
    np.testing.assert_array_equal(nm.Session.from_xarray(xr.DataArray(COUNTS)).counts, COUNTS)


def test_other_objects_are_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"three dimensions.*given ndarray\.$"):
        nm.Session.from_xarray(COUNTS)
    with pytest.raises(InvalidInputError, match=r"given DataArray with dims \('time', 'unit'\)"):
        nm.Session.from_xarray(array()[0])
    for read in (nm.Session.from_xarray, pretrainer().fit):
        with pytest.raises(InvalidInputError, match=r"Dataset, which holds \['n'\].*X\['n'\]"):
            read(array().to_dataset(name="n"))
    with pytest.raises(InvalidInputError, match=r"xarray.DataArray, whose dims.*from_xarray"):
        nm.Session(array())


@pytest.mark.parametrize(
    "name", ["region", "regions", "brain_area", "location", "Area", "ecephys_structure_acronym"]
)
def test_regions_are_found(name):
    session = nm.Session.from_xarray(array(**{name: (2, list("aabbc"))}))
    assert session.regions.tolist() == list("aabbc")


def test_a_place_in_numbers_is_no_region():
    session = nm.Session.from_xarray(array(location=(2, np.arange(5) * 20.0)))
    assert session.regions is None
    assert session.neurons["location"].tolist() == [0, 20, 40, 60, 80]


def test_coordinates_become_tables_and_names_and_arguments_come_first():
    data = array(choice=(0, np.arange(6)), depth=(2, np.arange(5)), region=(2, list("aabbc")))
    data = data.assign_coords(unit=[7, 3, 9, 1, 2])
    session = nm.Session.from_xarray(data)
    assert session.trials["choice"].tolist() == list(range(6))
    assert session.neurons["depth"].tolist() == list(range(5))
    assert session.identity["id"] == ("7", "3", "9", "1", "2")
    assert nm.Session.from_xarray(data, regions=list("vwxyz")).regions.tolist() == list("vwxyz")
    assert nm.Session.from_xarray(data, session_id="s1", bin_width=0.5).bin_width == 0.5


def test_a_multiindex_gives_its_levels():
    index = pd.MultiIndex.from_arrays([list("aabbc"), range(5)], names=["region", "number"])
    coords = xr.Coordinates.from_pandas_multiindex(index, "unit")
    session = nm.Session.from_xarray(array().assign_coords(coords))
    assert session.regions.tolist() == list("aabbc")
    assert session.neurons.columns.tolist() == ["region", "number"]


def with_unit(values, unit):
    data = array(time=values)
    data.time.attrs["units"] = unit
    return data


@pytest.mark.parametrize(
    ("data", "width", "start"),
    [
        (array(time=np.arange(4) * 0.02), 0.02, 0.0),
        (array(time=np.arange(4) * 0.02 - 0.5), 0.02, -0.5),
        (array(time=np.arange(4) * 0.02 - 0.49), 0.02, -0.5),  # centres
        (array(time=(np.arange(4) * 0.02 + 30).astype(np.float32)), 0.02, 30.0),
        (with_unit([-20, 0, 20, 40], "ms"), 0.02, -0.02),
        (with_unit([0.0, 2, 4, 6], "s"), 2.0, 0.0),
        (with_unit([0, 500, 1000, 1500], "us"), 0.0005, 0.0),
        (array(time=np.arange(4) * np.timedelta64(20_000_000, "ns")), 0.02, 0.0),
        (
            array(
                time=np.datetime64("2026-01-01", "ns")
                + np.arange(4) * np.timedelta64(20_000_000, "ns")
            ),
            0.02,
            None,
        ),
        (array(time=np.arange(4)), None, None),  # the numbers of bins
        (array(time=list("abcd")), None, None),
        (array(), None, None),
    ],
)
def test_the_coordinate_of_time_gives_bins(data, width, start):
    session = nm.Session.from_xarray(data)
    assert session.bin_width == (None if width is None else pytest.approx(width, rel=1e-12))
    assert session.t_start == (None if start is None else pytest.approx(start, abs=1e-9))


@pytest.mark.parametrize(
    "values",
    [
        [0, 0.02, 0.05, 0.06],
        [0.06, 0.04, 0.02, 0],
        [0, 0, 0, 0.0],
        [0, np.nan, 1, 2],
        np.float32(3600) + np.float32(0.001) * np.arange(4, dtype=np.float32),
    ],
)
def test_bins_that_are_not_equal_are_refused(values):
    with pytest.raises(InvalidInputError, match=r"'time' has steps.*expected bins of equal width"):
        nm.Session.from_xarray(array(time=values))
    assert nm.Session.from_xarray(array(time=values), bin_width=0.02).bin_width == 0.02


def test_units_that_are_not_known_are_refused_and_missing_ones_asked_for():
    with pytest.raises(InvalidInputError, match="is in 'samples'; expected a unit such as"):
        nm.Session.from_xarray(with_unit([0, 1, 2, 3], "samples"))
    with pytest.warns(NeuromaskWarning, match="steps of 20 and says no unit.*units'] = 'ms'"):
        assert nm.Session.from_xarray(array(time=[0, 20, 40, 60])).bin_width is None


def test_nan_is_not_observed():
    data = array().astype(float)
    data[0, 2:] = np.nan
    session = nm.Session.from_xarray(data)
    assert not session.observed[0, 2:].any()
    assert session.observed.sum() == COUNTS.size - 10


def test_models_baselines_and_scores_take_them_in_any_order():
    data = array(time=np.arange(4) * 0.02, region=(2, list("aabbb")))
    turned = data.transpose("unit", "time", "trial")
    pre = pretrainer().fit(turned)
    (info,) = pre.sessions_.values()
    assert (info.n_neurons, info.bin_width, info.regions) == (5, 0.02, tuple("aabbb"))
    plain = nm.Session.from_xarray(data)
    np.testing.assert_array_equal(pre.predict(turned), pre.predict(plain))
    pd.testing.assert_frame_equal(pre.evaluate(turned), pre.evaluate(plain))
    glm = nm.baselines.PoissonGLM(["intra_region"]).fit(turned)
    table = nm.evaluate(glm.predict_rates, turned, tasks=["intra_region"])
    assert table["region"].tolist() == list("aabbb")
    rates = nm.predict_hidden(glm.predict_rates, turned, task="intra_region")
    assert rates.shape == (6, 4, 5)
    np.testing.assert_array_equal(nm.baselines.MeanRate().fit(turned).rates_, COUNTS.mean((0, 1)))
    named = pretrainer().fit(plain._with(session_id="monday"))
    assert named.predict(turned).shape == (6, 4, 5)
    several = pretrainer().fit([turned, data])
    assert list(several.sessions_) == ["session-0", "session-1"]
