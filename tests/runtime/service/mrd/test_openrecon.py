"""OpenRecon's packages: what a console was seen to refuse is refused here first."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import zipfile
from copy import deepcopy

import pytest

from fmtool.errors import BundleError, InputError
from runtime.service.mrd import parameters
from runtime.service.mrd.openrecon import label, manual, package


@pytest.fixture
def found():
    return label.specification("demo", "2026-01-31")


def with_parameter(found, **said):
    made = deepcopy(found)
    made["parameters"].append({"id": "x", "label": {"en": "X"}, **said})
    return made


def test_the_specification_is_one_that_consoles_take(found):
    assert label.complaints(found) == []
    assert found["reconstruction"]["port"] == 9002
    assert found["reconstruction"]["content_qualification_type"] == "RESEARCH"
    assert {p["id"]: p["default"] for p in found["parameters"]} == parameters.DEFAULTS
    assert len(found["parameters"]) <= 14


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"type": "boolean", "id": "delta_te", "default": True}, "letters and digits"),
        ({"type": "boolean"}, "x has no default"),
        ({"type": "boolean", "default": True, "unit": {"en": "s"}}, "has a unit that is unknown"),
        ({"type": "float", "default": 1.0}, "of no kind that there is"),
        ({"type": "double", "minimum": 0, "maximum": 20, "default": 12.46}, "steps of 0.1"),
        ({"type": "int", "minimum": 0, "maximum": 2, "default": 3}, "not between its limits"),
        (
            {"type": "int", "minimum": 0, "maximum": 2, "default": 1, "unit": {"en": "years"}},
            "1 to 3 characters",
        ),
        (
            {"type": "choice", "default": "B", "values": [{"id": "a", "name": {"en": "B"}}]},
            "none of its choices' ids",
        ),
        ({"type": "boolean", "id": "mask", "default": True}, "two parameters are called mask"),
    ],
)
def test_a_parameter_that_consoles_refuse_is_said(found, said, why):
    (complaint,) = label.complaints(with_parameter(found, **said))
    assert why in complaint


def test_parameters_that_consoles_take_are_no_complaint(found):
    good = (
        {"type": "double", "minimum": 0.1, "maximum": 0.7, "default": 0.3, "unit": {"en": "ms"}},
        {"type": "string", "default": "a", "isLargeText": True},
        {"type": "choice", "default": "a", "values": [{"id": "a", "name": {"en": "B"}}]},
    )
    assert [label.complaints(with_parameter(found, **one)) for one in good] == [[], [], []]


def test_fifteen_parameters_and_other_faults_are_said(found):
    more = deepcopy(found)
    more["parameters"] = [{**found["parameters"][0], "id": f"p{n}"} for n in range(15)]
    assert label.complaints(more) == ["15 parameters, where 14 fit"]
    for change, why in (
        (lambda f: f["general"].update(version="1.0"), "three numbers"),
        (lambda f: f["general"]["regulatory_information"].pop("gtin"), "nothing of gtin"),
        (lambda f: f["reconstruction"].update(content_qualification_type="PRODUCT"), "research"),
        (lambda f: f["reconstruction"]["transfer_protocol"].update(version="2"), "1.4.1"),
    ):
        made = deepcopy(found)
        change(made)
        (complaint,) = label.complaints(made)
        assert why in complaint


def test_the_label_is_the_specification_on_one_line(found):
    text = label.label(found)
    name, _, value = text.partition("=")
    assert name == "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"
    assert json.loads(base64.b64decode(value, validate=True)) == found
    assert len(text.splitlines()) == 1


def archive(path, **config):
    """What `docker save` writes of an image without layers."""
    made = {"architecture": "amd64", "os": "linux", **config}
    data = json.dumps(made).encode()
    name = f"{hashlib.sha256(data).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": ["local/fmtool:latest"], "Layers": []}]
    with tarfile.open(path, "w") as out:
        for member, content in ((name, data), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def labelled(tmp_path, **config):
    text = package.write(tmp_path / "out", None, None)[0].read_text().strip()
    name, _, value = text.partition("=")
    return archive(tmp_path / "image.tar", config={"Labels": {name: value}}, **config)


def test_both_packages_are_made_of_a_bundle_and_an_archive(tmp_path):
    image = labelled(tmp_path)
    written = package.write(tmp_path / "out", None, image)
    assert [path.name for path in written[:3]] == ["label.txt", "ApplSpec.json", "Manual.pdf"]
    older, newer = written[3:]
    base = older.name.removesuffix(".zip")
    assert re.fullmatch(r"OpenRecon_fmtool_fmtool_V\d+\.\d+\.\d+", base)
    assert newer.name == f"{base}.OpenReconPackage.zip"
    with zipfile.ZipFile(older) as held:
        assert sorted(held.namelist()) == [f"{base}.pdf", f"{base}.tar"]
        assert {info.compress_type for info in held.infolist()} == {zipfile.ZIP_DEFLATED}
        assert held.read(f"{base}.tar") == image.read_bytes()
    with zipfile.ZipFile(newer) as held:
        names = ["ApplSpec.json", "Container.tar", "Manual.pdf", "Properties.json"]
        assert sorted(held.namelist()) == names
        said = json.loads(held.read("Properties.json"))
        assert label.complaints(json.loads(held.read("ApplSpec.json"))) == []
    with tarfile.open(image) as held:
        (config,) = [n for n in held.getnames() if n != "manifest.json"]
    assert said["image_digest"] == config.removesuffix(".json")
    assert said["image_name"] == "local/fmtool:latest" == said["image_name"].lower()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", said["application_guid"])


def test_an_archive_of_something_else_is_refused_and_nothing_is_packed(tmp_path):
    other = archive(tmp_path / "other.tar", config={"Labels": {}})
    arm = labelled(tmp_path, architecture="arm64")
    nothing = tmp_path / "nothing.tar"
    nothing.write_bytes(b"no tar")
    for path, why in (
        (other, "this bundle's label"),
        (arm, "linux/amd64"),
        (nothing, "docker save"),
        (tmp_path / "absent.tar", "docker save"),
    ):
        with pytest.raises(InputError, match=why):
            package.write(tmp_path / "packed", None, path)
    assert not (tmp_path / "packed").exists()


def test_a_bundle_that_is_none_is_refused(tmp_path):
    with pytest.raises(BundleError):
        package.write(tmp_path, tmp_path / "absent.fmtool", None)


def test_the_manual_is_a_pdf_of_all_that_is_said():
    text = manual.text("demo", "ab" * 32, ["age", "sex"], ["Adults only."])
    made = manual.pdf(text * 6)
    assert made.startswith(b"%PDF-1.4\n")
    start = int(made.rsplit(b"startxref\n", 1)[1].split()[0])
    assert made[start:].startswith(b"xref\n")
    places = [int(line.split()[0]) for line in made[start:].split(b"\n")[3:] if b" n" in line]
    assert all(re.match(rb"\d+ 0 obj\n", made[place:]) for place in places)
    for length, stream in re.findall(rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", made, re.S):
        assert len(stream) == int(length)
    assert made.count(b"/Type /Page ") > 1
    assert rb"\(18 to 90\) \\ only" in manual.pdf("(18 to 90) \\ only")
    assert all(len(line) <= 500 for line in text.splitlines())
