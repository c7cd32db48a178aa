"""What is deployed: units that systemd accepts, Containerfiles of a user who may do little, and
commands that fmtool has."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main

from benchmarks.supply import locks
from documentation.verbs import options
from fmtool import NOTICE, __version__
from fmtool.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def accepted(words):
    """Have the command line parse the words, without running anything."""
    command, rest = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context("fmtool", rest, resilient_parsing=True)


def settings(unit):
    """A unit's settings; the later of two lines of one name counts."""
    text = unit.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] not in "#["]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_that_there_is_with_few_rights(unit):
    said = settings(unit)
    program, *words = shlex.split(said["ExecStart"])
    assert program == "/opt/fmtool/bin/fmtool"
    accepted(words)
    assert said.get("DynamicUser") == "yes" or said["User"] != "root"
    assert said["NoNewPrivileges"] == said["ProtectHome"] == "yes"
    assert "ORT_DISABLE_TELEMETRY=1" in said["Environment"].split()
    assert said["ProtectSystem"] == "strict"
    assert said["CapabilityBoundingSet"] == ""
    assert said["Restart"] == "on-failure"
    assert said["SuccessExitStatus"] == "143"
    assert int(said["TimeoutStopSec"]) > 30
    assert said["UMask"] == "0077"
    assert said["MemoryMax"].endswith("G")
    assert said["MemorySwapMax"] == "0"
    assert 64 < int(said["TasksMax"]) <= 1024
    assert 1024 <= int(said["LimitNOFILE"]) <= 65536
    assert said["LimitCORE"] == "0"


def test_every_service_has_a_unit():
    words = [shlex.split(settings(unit)["ExecStart"])[1:] for unit in UNITS]
    assert sorted(w[:2] if w[0] == "serve" else w[:1] for w in words) == [
        ["serve", "dicom"],
        ["serve", "http"],
        ["watch"],
    ]


def test_the_node_s_unit_takes_nobody_without_a_certificate():
    (unit,) = (unit for unit in UNITS if "dicom" in unit.name)
    words = shlex.split(settings(unit)["ExecStart"])
    assert {"--tls-required", "--tls-ca"} <= set(words)
    assert "--any-client" not in words


def test_the_watch_s_layout_lets_senders_deliver_and_no_more():
    """As tests/runtime/service/watch/test_senders.py tries it with two accounts."""
    page = (ROOT / "docs" / "watch.md").read_text(encoding="utf-8")
    made = re.findall(r"install -d (-o \w+ -g [\w-]+ -m \d+) (\S+)", page)
    assert dict((path, how) for how, path in made) == {
        "/srv/fmtool": "-o root -g root -m 0755",
        "/srv/fmtool/inbox": "-o fmtool -g fmtool-senders -m 3730",
        "/srv/fmtool/outbox": "-o fmtool -g fmtool -m 0700",
    }


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_a_unit(unit, tmp_path):
    here = tmp_path / unit.name
    here.write_text(
        unit.read_text(encoding="utf-8").replace("/opt/fmtool/bin/fmtool", sys.executable)
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", here], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [x for x in done.stderr.splitlines() if unit.name in x]) == (0, [])


FILES = sorted(DEPLOY.glob("Containerfile*"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def instructions(file):
    """A Containerfile's instructions: a name and its words."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]


@EACH
def test_a_container_runs_a_command_that_there_is_as_nobody_special(file):
    found = instructions(file)
    last = max(i for i, (name, _) in enumerate(found) if name == "FROM")
    said = dict(found[last:])
    assert said["USER"].split(":")[0].isdigit()
    assert int(said["USER"].split(":")[0]) > 0
    assert json.loads(said["ENTRYPOINT"]) == ["fmtool"]
    accepted(json.loads(said["CMD"]))
    assert said["STOPSIGNAL"] == "SIGTERM"
    check = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "HEALTHCHECK", "exec")
    assert "/health" in check[2]


@EACH
def test_a_container_is_of_two_stages_on_one_base_of_one_day(file):
    found = instructions(file)
    base = next(words for name, words in found if name == "ARG")
    assert re.fullmatch(r"BASE=docker\.io/library/debian:bookworm-\d{8}-slim", base)
    assert [words for name, words in found if name == "FROM"] == ["${BASE} AS build", "${BASE}"]
    kept = [words for name, words in found if name == "COPY" and words.startswith("--from")]
    assert kept == ["--from=build /opt/fmtool /opt/fmtool"]


@EACH
def test_what_a_container_writes_is_a_volume_or_the_scratch_folder(file):
    said = dict(instructions(file))
    volumes = json.loads(said["VOLUME"])
    set_to = dict(word.split("=", 1) for word in said["ENV"].split())
    assert set_to["XDG_CACHE_HOME"] in volumes
    assert set_to["HOME"] == "/tmp"
    assert set_to["PYTHONDONTWRITEBYTECODE"] == "1"
    assert set_to["ORT_DISABLE_TELEMETRY"] == "1"
    words = json.loads(said["CMD"])
    assert words[words.index("--spool") + 1] in volumes


@EACH
def test_a_container_is_built_from_what_there_is(file):
    for name, words in instructions(file):
        if name == "COPY" and not words.startswith("--from"):
            *sources, _ = words.split()
            assert all((ROOT / source).exists() for source in sources)
    text = file.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    packages = {path.partition("/")[0] for path in wheel}
    assert [package for package in packages if f"COPY {package} {package}\n" not in text] == []


OPENRECON = DEPLOY / "openrecon"


def test_the_scanners_container_is_as_consoles_want_it():
    found = instructions(OPENRECON / "Containerfile")
    said = dict(found[max(i for i, (name, _) in enumerate(found) if name == "FROM") :])
    assert said["USER"] == "root"
    assert said["EXPOSE"] == "9002"
    shell, option, line = json.loads(said["CMD"])
    assert (shell, option) == ("/bin/sh", "-c")
    first, _, command = line.partition(" && exec ")
    assert first == "ldconfig"
    words = shlex.split(command)
    assert words[0] == "fmtool"
    accepted(words[1:])
    assert words[words.index("--listen") + 1] == "0.0.0.0:9002"
    set_to = dict(word.split("=", 1) for word in said["ENV"].split())
    assert set_to["HOME"] == "/tmp"
    built = (OPENRECON / "Containerfile").read_text()
    assert "COPY locks/cpu.txt lock.txt\n" in built
    assert "--require-hashes -r lock.txt" in built
    assert "--no-deps ." in built
    copied = re.findall(r"COPY (\w+)[ /]", built.partition("FROM ${BASE}\n")[0])
    gathered = re.findall(r"cp -R (.*) ", (OPENRECON / "build.sh").read_text())[0].split()
    assert {name for name in copied if (ROOT / name).is_dir()} <= set(gathered)


def test_the_scanners_script_says_what_it_lacks(tmp_path):
    script = OPENRECON / "build.sh"
    subprocess.run([Path(sys.executable).parent / "shellcheck", script], check=True)
    for words, code, said in (
        ([], 2, "usage"),
        (["absent.fmtool", tmp_path], 1, "not a bundle's folder"),
        ([tmp_path, tmp_path], 3, "no docker engine answers"),
    ):
        done = subprocess.run(
            ["/bin/sh", script, *words],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": "tcp://127.0.0.1:1"},
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
        assert said in done.stderr


@EACH
def test_a_container_installs_from_a_lock_with_which_signatures_work(file):
    (lock,) = re.findall(r"COPY locks/([\w-]+)\.txt lock\.txt\n", file.read_text(encoding="utf-8"))
    assert {"dicom", "http", "sign", "parquet"} <= set(locks.LOCKS[lock])
    assert ("gpu" in locks.LOCKS[lock]) == file.name.endswith("gpu")
    assert "cryptography" in locks.pins(lock)
    (build,) = (
        words for name, words in instructions(file) if name == "RUN" and "venv" in words[:20]
    )
    installs = [part.split()[1:] for part in build.split("&&") if " install " in part]
    assert installs == [
        ["install", "--no-cache-dir", "--require-hashes", "--requirement", "lock.txt"],
        ["install", "--no-cache-dir", "--no-deps", "."],
    ]


def test_the_boutiques_descriptor_has_the_app_s_own_options() -> None:
    told = json.loads((ROOT / "deploy/boutiques.json").read_text("utf-8"))
    flags = {one["command-line-flag"]: one for one in told["inputs"] if "command-line-flag" in one}
    own = {option.name: option for option in options() if option.verb == "bids"}
    assert flags.keys() == own.keys()
    for name, option in own.items():
        assert flags[name].get("list", False) is option.several
        assert (flags[name]["type"] == "Flag") is (not option.takes)
    assert all(one["value-key"] in told["command-line"] for one in told["inputs"])
    assert told["tool-version"] == __version__
    assert NOTICE in told["description"]


def test_boutiques_takes_its_descriptor() -> None:
    bosh = shutil.which("bosh")
    if bosh is None:
        pytest.skip("boutiques is absent: pip install boutiques")
    done = subprocess.run(
        [bosh, "validate", str(ROOT / "deploy/boutiques.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stdout
