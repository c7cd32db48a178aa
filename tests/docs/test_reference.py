"""The reference says what the code does: schemas against real files, every verb, every message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from documentation import made, messages, schema, verbs
from fmtool import bundle, errors, space

jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).parents[2]


def test_the_demonstration_bundles_manifest_is_as_described() -> None:
    manifest = json.loads((bundle.DEMO / "manifest.json").read_text("utf-8"))
    jsonschema.validate(manifest, schema.load("manifest"))


def test_a_result_is_as_described_and_no_field_is_missing_from_the_page(tmp_path) -> None:
    template = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj, dtype=np.float32)
    for name, array in (("normalized", template), ("mask", (template > 0).astype(np.float32))):
        nib.save(nib.Nifti1Image(array, space.grid_affine()), tmp_path / f"{name}.nii.gz")
    done = subprocess.run(
        [sys.executable, "-m", "fmtool", "predict", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    (result,) = json.loads(done.stdout)
    jsonschema.validate(result, schema.load("result"))
    page = schema.page("result")
    for name in result:
        assert f"| `{name}` |" in page
    wrong = dict(result)
    del wrong["notice"]
    with pytest.raises(jsonschema.ValidationError, match="notice"):
        jsonschema.validate(wrong, schema.load("result"))


def test_every_verb_and_option_is_on_the_page() -> None:
    page = verbs.page()
    functions = dict(verbs.walk())
    assert {"predict", "train probe", "serve dicom"} <= set(functions)
    for verb, function in functions.items():
        assert f"\n## fmtool {verb}\n" in page
        assert function.__doc__.strip()
        assert all(one.names in page for one in verbs.taken(verb, function))


def test_the_names_are_those_of_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fmtool", "predict", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    names = [option.name for option in verbs.options() if option.verb == "predict"]
    assert len(names) > 10
    assert all(name in done.stdout for name in names)


@pytest.mark.parametrize("name", made.MADE)
def test_a_table_of_the_code_is_on_a_page(name) -> None:
    place = f"\n<!-- made: {name} -->\n"
    (page,) = (p for p in sorted((ROOT / "docs").glob("*.md")) if place in p.read_text("utf-8"))
    assert f"\n{made.MADE[name]()}\n" in made.filled(page.read_text("utf-8") + "\n")


def test_a_table_that_nothing_makes_is_a_defect() -> None:
    with pytest.raises(KeyError, match="absent"):
        made.filled("a\n<!-- made: absent -->\n")


def test_messages_are_read_from_raise_statements(tmp_path) -> None:
    source = tmp_path / "a.py"
    source.write_text(
        "def f(path, n):\n"
        "    raise errors.InputError(f'{path.name} has {n} axes; ' 'give three') from None\n"
        "    raise ValueError('this is a defect of ours')\n"
    )
    (found,) = messages.of_file(source, "a", {"InputError"})
    assert found == ("InputError", "NAME has N axes; give three", "a")


def test_a_file_that_cannot_be_read_is_told_in_one_way_and_what_to_do_about_it() -> None:
    lines = [line for line in messages.page(ROOT).splitlines() if line.startswith("- ")]
    reasons = [line for line in lines if "(STRERROR)" in line]
    assert len(reasons) > 10
    assert [line for line in reasons if ";" not in line] == []
    assert [line for line in lines if line.startswith("- cannot read")] == []


def test_every_kind_of_error_and_code_is_on_its_page() -> None:
    page = messages.page(ROOT)
    for kind in (errors.InputError, errors.UsageError, errors.CapabilityError, errors.BundleError):
        assert f"## {kind.__name__}" in page
    assert page.count("\n- ") > 200
    assert {kind.exit_code for kind in messages.kinds()} == {1, 2, 3}
    for code in (0, 1, 2, 3, 130, 143):
        assert f"| {code} |" in messages.exit_codes()
