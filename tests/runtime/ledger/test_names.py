"""Pseudonyms are made with the site's key, which stands in no ledger and no log."""

from __future__ import annotations

import hashlib
import hmac
import io
import stat

import pytest
from rich.console import Console

from fmtool.errors import InputError
from runtime.ledger import Identifiers, Ledger
from runtime.ledger.names import KEY, pseudonym, site_key, source_name
from runtime.ledger.outcomes import items
from runtime.ledger.table import render


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "fmtool" / "names.key"


def test_a_key_is_made_once_for_its_owner_alone(home):
    key = site_key()
    assert len(key) == 64
    assert site_key() == key
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert [p.name for p in home.parent.iterdir()] == ["names.key"]


@pytest.mark.parametrize(("mode", "text", "says"), [
    (0o644, "k" * 32, "open to others"),
    (0o640, "k" * 32, "open to others"),
    (0o600, "short", "less than 16"),
    (0o600, "", "less than 16"),
])  # fmt: skip
def test_a_key_that_is_none_is_refused(tmp_path, monkeypatch, mode, text, says):
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    monkeypatch.setenv(KEY, str(path))
    with pytest.raises(InputError, match=says):
        site_key()
    monkeypatch.setenv(KEY, str(tmp_path / "absent"))
    with pytest.raises(InputError, match="cannot be read"):
        Ledger(tmp_path / "ledger.sqlite", Identifiers.hash)
    assert not (tmp_path / "ledger.sqlite").exists()


def test_what_is_beside_the_names_does_not_tell_them(home, tmp_path):
    """Every number of seven digits was tried in seconds when the salt stood in the ledger."""
    with Ledger(tmp_path / "ledger.sqlite", Identifiers.hash) as ledger:
        number = ledger.add("1234567.nii.gz", "c" * 64, "b" * 64, {})
        name = ledger.shown(number)
        beside = [str(row["value"]) for row in ledger.run("SELECT value FROM settings").fetchall()]
    data = b"".join(p.read_bytes() for p in tmp_path.glob("ledger.sqlite*"))
    key = site_key()
    assert key not in data
    assert name == f"scan-{pseudonym('1234567.nii.gz', key, 20)}"
    for salt in ("", *beside):
        guess = hmac.new(salt.encode(), b"1234567.nii.gz", hashlib.sha256).hexdigest()
        assert guess[:20] not in name


def test_the_same_name_is_the_same_at_one_site_and_another_at_another():
    one, other = (source_name("a.nii", Identifiers.hash, key) for key in (b"k" * 16, b"l" * 16))
    assert one != other
    assert source_name("a.nii", Identifiers.hash, b"k" * 16) == one


def test_a_table_of_a_ledger_obeys_no_file_s_name(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        number = ledger.add("a\x1b]0;owned\x07\u202e.nii", None, "b" * 64, {})
        ledger.claim(number)
        ledger.quarantine(number, "\x1b[2Jgone")
        console = Console(file=io.StringIO(), width=200, force_terminal=False)
        console.print(render(items(ledger)))
    said = console.file.getvalue()
    assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert "a\\x1b]0;owned" in said
