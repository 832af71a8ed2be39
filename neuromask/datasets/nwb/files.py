"""Opening NWB files, and naming what is none."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import InvalidInputError, current_call, suggest

__all__ = ["opened"]

# What files begin with that get the name of an NWB file, or are taken for one.
_KINDS = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself. Run: git lfs pull",
    b"/annex/objects": "a pointer of git-annex, not the file itself. Run: git annex get, or "
    "datalad get",
    b"MATLAB 7.3": "a file of MATLAB 7.3. Read it with h5py, and give its spikes to "
    "from_spike_times",
    b"MATLAB 5": "a file of MATLAB. Read it with scipy.io.loadmat, and give its spikes to "
    "from_spike_times",
    b"\x93NUMPY": "an array of NumPy. Read it with numpy.load, and give counts to Session or "
    "spikes to from_spike_times",
    b"PK\x03\x04": "a zip archive, as .npz files are. Read a neuromask.Session's or the Steinmetz "
    "teaching set's with load_npz, and unpack any other",
    b"\x1f\x8b": "packed with gzip. Unpack it",
    b"<": "a page of a web site. Download the file itself: its address is not that of its page",
    b"{": "JSON, such as the index of a file or an error of its server. Download the file itself",
}
_STORES = (".zgroup", ".zmetadata", "zarr.json")  # in the folder of a Zarr store


@contextmanager
def opened(source: Any) -> Iterator[Any]:
    """Open an NWB file for reading, and close it whatever happens.

    Parameters
    ----------
    source : path-like, address or binary file
        An HDF5 file, here or at an address that fsspec opens; the folder of a Zarr store.

    Yields
    ------
    pynwb.NWBFile
    """
    _need("pynwb", "nwb")
    with ExitStack() as stack:
        readable = _readable(source, stack)
        try:
            with warnings.catch_warnings():
                # They tell writers of files what to mend, such as older namespaces.
                warnings.simplefilter("ignore", UserWarning)
                file = stack.enter_context(_reader(source, readable, stack)).read()
        except (InvalidInputError, ImportError):
            raise
        except Exception as error:  # of many kinds, from HDF5, its links or pynwb
            raise _damaged(source, error) from error
        try:
            yield file
        except OSError as error:  # data are read late, and damage shows then
            raise _damaged(source, error) from error


def _need(module: str, extra: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{current_call()}: {module} is not installed. Run: pip install 'neuromask[{extra}]'"
        ) from error


def _readable(source: Any, stack: ExitStack) -> Any:
    """Give a path or a binary file that holds NWB, or name what is there instead."""
    if hasattr(source, "read") and hasattr(source, "seek"):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidInputError(
            f"path is a {type(source).__name__}; expected the path of an NWB file. For several, "
            "call load_nwb for each."
        )
    scheme, _, rest = str(source).partition("://")
    if str(source).lower().startswith("dandi:"):
        raise InvalidInputError(
            f"{source} names a file of DANDI. Download it (dandi download), or give the address "
            "that its page shows for downloads, https://api.dandiarchive.org/api/assets/..."
        )
    if rest and len(scheme) > 1:  # a single letter is a drive of Windows
        return _fetched(str(source), scheme, stack)
    path = Path(source).expanduser()
    if path.is_dir():
        if any((path / name).exists() for name in _STORES):
            return path
        raise InvalidInputError(_of_folder(path))
    if not path.is_file():
        near = suggest(path.name, [p.name for p in path.parent.glob("*.nwb*")])
        raise InvalidInputError(f"there is no file {path}.{near}")
    with path.open("rb") as file:
        _check_kind(path, file.read(2048))
    return path


def _fetched(address: str, scheme: str, stack: ExitStack) -> Any:
    """Open an address; what is read of it alone is fetched."""
    fsspec = _need("fsspec", "nwb-remote")
    options = {"anon": True} if scheme == "s3" else {}  # DANDI's bucket is open to all
    try:
        file = stack.enter_context(fsspec.open(address, "rb", **options))
        _check_kind(address, file.read(2048))
        file.seek(0)
    except ImportError as error:  # fsspec has a package for each kind of address
        raise ImportError(
            f"{current_call()}: {address} needs a package that is not installed ({error}). "
            "Run: pip install 'neuromask[nwb-remote]'"
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f"{address} cannot be reached ({type(error).__name__}: {error}). Check the address, or "
            "download the file and give its path."
        ) from error
    return file


def _check_kind(path: Any, head: bytes) -> None:
    """Refuse what is no HDF5 file, by its first bytes, and HDF5 of MATLAB."""
    start = head.lstrip()
    for beginning, kind in _KINDS.items():
        if start.startswith(beginning):
            raise InvalidInputError(f"{path} is {kind}.")
    if not head:
        raise InvalidInputError(f"{path} is empty. Copy or download the file again.")


def _of_folder(path: Path) -> str:
    """Say what a folder holds that is no Zarr store."""
    files = sorted(str(p.relative_to(path)) for p in [*path.glob("*.nwb*"), *path.glob("*/*.nwb*")])
    if files:
        shown = ", ".join(files[:5]) + (", ..." if len(files) > 5 else "")
        return (
            f"{path} is a folder with {len(files)} NWB files: {shown}. Give the path of one, and "
            "load each session by itself."
        )
    if any(path.glob("**/spikes.times*.npy")):
        return f"{path} is a folder of ALF files, as of the IBL. Use load_ibl."
    if (path / "spike_times.npy").exists():
        return (
            f"{path} is a folder of Kilosort or phy. Read spike_times.npy and spike_clusters.npy "
            "with numpy.load, and use from_spike_times."
        )
    return f"{path} is a folder without NWB files. Give the path of a file."


def _reader(source: Any, readable: Any, stack: ExitStack) -> Any:
    """Give pynwb's reader of an HDF5 file, or that of a Zarr store."""
    import h5py
    import pynwb

    if isinstance(readable, Path) and readable.is_dir():
        return _need("hdmf_zarr", "nwb-zarr").NWBZarrIO(str(readable), mode="r")
    # Opened here, for pynwb leaves a file open that it cannot read.
    file = stack.enter_context(h5py.File(readable, "r"))
    if "nwb_version" in file:
        raise InvalidInputError(
            f"{source} is of NWB 1, which pynwb does not read. Look for a newer version of the "
            "data, or read its spikes with h5py and use from_spike_times."
        )
    if "nwb_version" not in file.attrs:
        raise InvalidInputError(
            f"{source} is HDF5, but no NWB file: it holds {sorted(file)[:8]}. Read its spikes with "
            "h5py, and use from_spike_times."
        )
    return pynwb.NWBHDF5IO(file=file, mode="r", load_namespaces=True)


def _damaged(source: Any, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"{source} cannot be read ({type(error).__name__}: {error}); expected an NWB 2 file, "
        "all of it. Copy or download the file again."
    )
