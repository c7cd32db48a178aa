"""The bill of materials names what is installed, is valid CycloneDX, and tells no path."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx_py", reason="cyclonedx-bom is absent")

from benchmarks.supply import sbom
from fmtool.errors import CapabilityError, FmtoolError


@pytest.fixture
def environment(tmp_path):
    """An environment with one package, installed from a folder of this machine."""
    venv.create(tmp_path / "env", with_pip=False)
    packages = next((tmp_path / "env" / "lib").glob("python*")) / "site-packages"
    info = packages / "planted-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.2\n")
    url = {"url": f"file://{tmp_path}/planted", "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(url))
    return tmp_path / "env" / "bin" / "python"


def test_of_an_environment(environment, tmp_path):
    out = tmp_path / "sbom.json"
    command = [sys.executable, "-m", "benchmarks.supply.sbom", "--python", environment, "-o", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = out.read_text()
    found = json.loads(text)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", sbom.SCHEMA)
    assert [(c["name"], c["version"]) for c in found["components"]] == [("planted", "1.2")]
    assert str(tmp_path) not in text
    sbom.check(found)


def test_what_is_not_valid_is_refused(environment):
    found = sbom.of(environment)
    found["components"][0]["type"] = "no such type"
    with pytest.raises(FmtoolError, match="not valid CycloneDX"):
        sbom.check(found)


def test_an_environment_that_is_not_there(tmp_path):
    with pytest.raises(CapabilityError, match="cannot describe"):
        sbom.of(Path(tmp_path / "none" / "python"))
