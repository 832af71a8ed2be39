"""Files that NWB comes in, and what is taken for one and named."""

import sys

import h5py
import numpy as np
import pytest

import neuromask as nm
from neuromask.errors import InvalidInputError

from .nwb_files import EVENTS, N_TRIALS, TRAINS, empty, made, units, written


def refused(path):
    with pytest.raises(InvalidInputError) as caught:
        nm.load_nwb(path)
    return str(caught.value)


def test_the_file_is_closed_and_left_as_it_was(tmp_path):
    path = made(tmp_path)
    before = path.read_bytes()
    nm.load_nwb(path)
    with pytest.raises(InvalidInputError):
        nm.load_nwb(path, align="nothing")
    with h5py.File(path, "r+"):  # fails while it is open elsewhere
        pass
    assert path.read_bytes() == before


def test_a_missing_file_is_named_with_the_nearest(tmp_path):
    path = made(tmp_path)
    with pytest.raises(InvalidInputError, match="there is no file .*Did you mean 'made.nwb'"):
        nm.load_nwb(path.with_name("mad.nwb"))


def test_files_that_are_damaged_or_no_nwb_are_refused(tmp_path):
    path = made(tmp_path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InvalidInputError, match=r"cannot be read \(OSError: .*truncated"):
        nm.load_nwb(path)
    with h5py.File(path, "w") as file:
        file["spikes"] = np.ones(3)
    assert "is HDF5, but no NWB file: it holds ['spikes']" in refused(path)
    with h5py.File(path, "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
    assert "is of NWB 1, which pynwb does not read" in refused(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Run: git lfs pull"),
        (b"/annex/objects/SHA256E-s385\n", "pointer of git-annex.* datalad get"),
        (b"\n<!DOCTYPE html><html></html>", "a page of a web site. Download the file itself"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "a page of a web site"),
        (b'{"detail": "Not found."}', "JSON, such as the index of a file or an error"),
        (b"MATLAB 5.0 MAT-file, Platform: MACI64", "a file of MATLAB. .*scipy.io.loadmat"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(600), "MATLAB 7.3. Read it with h5py"),
        (b"PK\x03\x04", "a zip archive, as .npz files are"),
        (b"\x93NUMPY\x01\x00", "an array of NumPy"),
        (b"\x1f\x8b\x08", "packed with gzip"),
        (b"", "one.nwb is empty. Copy or download the file again"),
        (b"spikes", r"cannot be read \(OSError.*expected an NWB 2 file"),
    ],
)
def test_what_is_saved_as_nwb_is_named_for_what_it_is(tmp_path, content, message):
    path = tmp_path / "one.nwb"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path)


def test_a_folder_is_named_for_what_it_holds(tmp_path):
    assert "a folder without NWB files. Give the path of a file" in refused(tmp_path)
    (tmp_path / "spike_times.npy").touch()
    assert "a folder of Kilosort or phy. Read spike_times.npy" in refused(tmp_path)
    (tmp_path / "alf").mkdir()
    (tmp_path / "alf" / "spikes.times.npy").touch()
    assert "a folder of ALF files, as of the IBL. Use load_ibl" in refused(tmp_path)
    (tmp_path / "sub-1").mkdir()
    for i in range(6):
        (tmp_path / "sub-1" / f"{i}.nwb").touch()
    message = refused(tmp_path)
    assert "a folder with 6 NWB files: sub-1/0.nwb, sub-1/1.nwb, sub-1/2.nwb" in message
    assert "4.nwb, .... Give the path of one" in message


def test_what_is_no_path_is_refused(tmp_path):
    assert "path is a list; expected the path of an NWB file" in refused([tmp_path / "a.nwb"])
    assert "names a file of DANDI. Download it (dandi download)" in refused("dandi:000017")


def test_a_file_that_is_open_is_read_and_left_open(tmp_path):
    with made(tmp_path).open("rb") as file:
        assert nm.load_nwb(file).n_trials == N_TRIALS
        assert not file.closed


def test_an_address_is_read_where_it_is(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://lab/made.nwb", "wb") as file:
        file.write(made(tmp_path).read_bytes())
    session = nm.load_nwb("memory://lab/made.nwb")
    np.testing.assert_array_equal(session.counts, nm.load_nwb(tmp_path / "made.nwb").counts)
    with fsspec.open("memory://lab/page.nwb", "wb") as file:
        file.write(b"<html>")
    assert "memory://lab/page.nwb is a page of a web site" in refused("memory://lab/page.nwb")
    assert "memory://lab/none.nwb cannot be reached (FileNotFoundError" in refused(
        "memory://lab/none.nwb"
    )
    assert "moon://made.nwb cannot be reached (ValueError" in refused("moon://made.nwb")


@pytest.mark.parametrize(
    ("module", "path", "extra"),
    [
        ("pynwb", "made.nwb", r"neuromask\[nwb\]"),
        ("fsspec", "https://lab.org/made.nwb", r"neuromask\[nwb-remote\]"),
        ("s3fs", "s3://lab/made.nwb", r"neuromask\[nwb-remote\]"),
        ("hdmf_zarr", "store", r"neuromask\[nwb-zarr\]"),
    ],
)
def test_without_a_package_its_extra_is_named(tmp_path, monkeypatch, module, path, extra):
    made(tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".zgroup").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"load_nwb: .*not installed.*pip install '{extra}'"):
        nm.load_nwb(path)


def test_a_zarr_store_is_the_same_session(tmp_path):
    zarr = pytest.importorskip("hdmf_zarr")
    file = empty()
    units(file, region=["CA1"] * len(TRAINS))
    with zarr.NWBZarrIO(str(tmp_path / "made.nwb.zarr"), "w") as io:
        io.write(file)
    session = nm.load_nwb(tmp_path / "made.nwb.zarr", events=EVENTS)
    np.testing.assert_array_equal(session.counts, nm.load_nwb(made(tmp_path), events=EVENTS).counts)
    assert session.regions.tolist() == ["CA1"] * len(TRAINS)


def test_damage_of_data_is_found_when_they_are_read(tmp_path):
    path = tmp_path / "damaged.nwb"
    file = empty()
    units(file)
    written(file, path)
    with h5py.File(path, "r+") as opened:
        spikes = opened["units/spike_times"][:]
        attributes = dict(opened["units/spike_times"].attrs)
        del opened["units/spike_times"]
        packed = opened["units"].create_dataset(
            "spike_times", data=spikes, compression="gzip", chunks=(len(spikes),)
        )
        packed.attrs.update(attributes)
        at = packed.id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[at : at + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"damaged.nwb cannot be read \(OSError"):
        nm.load_nwb(path, events=EVENTS)
