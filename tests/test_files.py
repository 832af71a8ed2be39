"""Files and folders are there whole or not at all, and follow the umask."""

import os

import pytest

from neuromask._files import whole_file, whole_folder


def fill(path, text, error=None):
    with whole_file(path) as partial:
        partial.write_text(text)
        if error is not None:
            raise error


def fill_folder(path, text, error=None):
    with whole_folder(path) as partial:
        (partial / "a.txt").write_text(text)
        if error is not None:
            raise error


def test_a_file_or_folder_takes_its_place_when_it_is_whole(tmp_path):
    for text in ("one", "two"):
        fill(tmp_path / "a.txt", text)
        fill_folder(tmp_path / "folder", text)
        assert (tmp_path / "a.txt").read_text() == text
        assert (tmp_path / "folder" / "a.txt").read_text() == text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "folder"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_error_the_old_is_as_it_was_and_nothing_new_is_left(tmp_path, error):
    fill(tmp_path / "a.txt", "old")
    fill_folder(tmp_path / "folder", "old")
    with pytest.raises(error):
        fill(tmp_path / "a.txt", "half", error)
    with pytest.raises(error):
        fill_folder(tmp_path / "folder", "half", error)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "folder" / "a.txt").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "folder"]


def test_a_folder_that_cannot_be_replaced_is_put_back(tmp_path, monkeypatch):
    fill_folder(tmp_path / "folder", "old")
    replace = os.replace

    def fails_once(source, target):
        if target == tmp_path / "folder" and source.name == "folder":
            monkeypatch.undo()
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails_once)
    with pytest.raises(OSError, match="disk full"):
        fill_folder(tmp_path / "folder", "new")
    assert (tmp_path / "folder" / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_what_is_written_beside_another_path_is_never_seen_in_its_own_folder(tmp_path):
    out = tmp_path / "out"
    with whole_file(out / "deep" / "a.txt", beside=out) as partial:
        partial.write_text("x")
        assert not out.exists()
    assert [p.name for p in out.rglob("*") if p.is_file()] == ["a.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_modes_are_those_that_the_umask_leaves_whatever_the_writer_makes(tmp_path, mask):
    before = os.umask(mask)
    try:
        with whole_folder(tmp_path / "folder") as partial:
            os.close(os.open(partial / "secret", os.O_CREAT, 0o600))
            (partial / "usual").touch()
        with whole_file(tmp_path / "file") as partial:
            os.close(os.open(partial, os.O_CREAT, 0o600))
    finally:
        os.umask(before)
    files = [tmp_path / "folder" / "secret", tmp_path / "folder" / "usual", tmp_path / "file"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~mask
