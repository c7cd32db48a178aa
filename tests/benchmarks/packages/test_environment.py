"""What an environment holds, and that what runs in it is cut off."""

import os
import subprocess
import sys

import pytest

from benchmarks.packages import environment, unplugged
from benchmarks.packages.environment import Environment, Failed, run, size


def test_a_file_with_two_names_counts_once_and_a_link_is_not_followed(tmp_path):
    big = tmp_path / "outside"
    big.write_bytes(b"x" * 5000)
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    (inside / "one").write_bytes(b"x" * 100)
    os.link(inside / "one", tmp_path / "in" / "again")
    (inside / "link").symlink_to(big)
    assert size(tmp_path / "in") == 100 + len(str(big))


def test_nothing_of_the_caller_leads_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    there = Environment(tmp_path / "env", tmp_path / "work").variables()
    assert "PYTHONPATH" not in there
    assert there["OMP_NUM_THREADS"] == "1"
    assert there["HOME"] == str(tmp_path / "work")
    assert there["PATH"].startswith(str(tmp_path / "env" / "bin"))


def test_pip_is_followed_to_more_wheels(monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/a /b")
    assert environment.find_links() == ["--find-links", "/a", "--find-links", "/b"]
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert environment.find_links() == []


def test_a_command_that_fails_is_told_with_its_last_words():
    with pytest.raises(Failed, match=r"exit code 3 of .*\nlast words"):
        run([sys.executable, "-c", "print('last words'); raise SystemExit(3)"])


def test_what_is_unplugged_reaches_loopback_alone():
    asked = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(s.getsockname()); "
        "print(sorted(name for _, name in socket.if_nameindex()))"
    )
    done = subprocess.run(
        [sys.executable, unplugged.__file__, sys.executable, "-c", asked],
        capture_output=True,
        text=True,
        check=True,
    )
    if "stays plugged in" in done.stderr:
        pytest.skip("this system allows no network of one's own")
    assert done.stdout.strip() == "['lo']"
