"""Files and folders that are there whole or not at all, and that others may read."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file", "whole_folder"]


@contextmanager
def whole_file(path: Path, *, beside: Path | None = None) -> Iterator[Path]:
    """Give a path to write to, whose file takes its place when the block ends without an error.

    Parameters
    ----------
    path : Path
        Where the file will be; a file that is there is replaced.
    beside : Path, optional
        Write beside this path and not beside `path`, for those who list the folder of `path`. It
        must be on the same disk.
    """
    with _staging(path if beside is None else beside) as staging:
        yield staging / path.name
        _as_readable_as_others(staging)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / path.name, path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new folder to fill, which takes its place when the block ends without an error.

    Parameters
    ----------
    path : Path
        Where the folder will be; a folder that is there is replaced.
    """
    with _staging(path) as staging:
        folder, old = staging / path.name, staging / "replaced"
        folder.mkdir()
        yield folder
        _as_readable_as_others(folder)
        if not path.exists():
            os.replace(folder, path)
            return
        os.replace(path, old)
        try:
            os.replace(folder, path)
        except BaseException:
            os.replace(old, path)
            raise


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """Give a hidden folder beside `path` for as long as the block lasts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        staging.mkdir()
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _as_readable_as_others(folder: Path) -> None:
    """Let those read the files of a folder who may read the folder, as any other new file.

    Some writers make temporary files of their own, which their owner alone may read.
    """
    if os.name == "nt":
        return
    mode = folder.stat().st_mode & 0o666  # what the umask leaves
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(mode)
