"""`fmtool calibrate` and `fmtool train probe` on a bundle's encoder, from a batch's results."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from fmtool import bundle
from fmtool.bundle import exposure
from fmtool.cli.bundle import show
from fmtool.cli.bundle import verify as verify_bundle
from fmtool.cli.calibrate import calibrate
from fmtool.cli.train.probe import probe
from fmtool.errors import BundleError, InputError, UsageError
from runtime import trust
from runtime.engines.heads import affine
from training.evidence import head as heads

pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is absent")

TASK = """
name = "gap"
kind = "regression"
unit = "years"
label = "gap"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """results.parquet of 24 scans, and a table of ages 12 years below what the bundle says."""
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("site")
    random = np.random.default_rng(0)
    with bundle.open() as demo:
        weight, bias = affine(demo, ["age"])["age"]
        at = np.array(demo.manifest.self_test.outputs["embedding"])
        digest = demo.digest
    along = random.uniform(-15.0, 15.0, 24)
    around = 0.1 / np.linalg.norm(weight)  # moves the value by a tenth
    x = at + along[:, None] * weight / (weight @ weight) + random.normal(0.0, around, (24, len(at)))
    age = x @ weight + bias - 12.0 + random.normal(0.0, 3.0, 24)
    scans = [f"/data/sub-{i:02}_T1w.nii.gz" for i in range(24)]
    columns = {
        "scan": scans,
        "content": [f"{i:064x}" for i in range(24)],
        "embedding": x.tolist(),
        "brain_volume_ml": random.normal(1400.0, 100.0, 24).tolist(),
        "bundle_digest": [digest] * 24,
        "engine": ["openvino, cpu, float32"] * 24,
    }
    parquet.write_table(pyarrow.table(columns), folder / "results.parquet")
    for name, count in (("labels", 24), ("few", 8)):
        lines = [f"sub-{i:02},{a:.2f},{a:.2f}" for i, a in enumerate(age[:count])]
        (folder / f"{name}.csv").write_text("\n".join(["participant_id,age,gap", *lines]) + "\n")
    (folder / "gap.toml").write_text(TASK)
    return folder


def calibrate_again(site, child):
    """On the results of the child itself: the same scans under its digest."""
    from pyarrow import parquet

    with bundle.open(child) as opened:
        table = parquet.read_table(site / "results.parquet").to_pydict()
        table["bundle_digest"] = [opened.digest] * 24
    again = child.parent / "again.parquet"
    parquet.write_table(pyarrow.table(table), again)
    calibrate(again, "age", child.parent / "c.fmtool", bundle=child, labels=site / "labels.csv")


def test_from_twenty_four_scans_to_a_child(site, tmp_path, capsys):
    out, page = tmp_path / "site.fmtool", tmp_path / "page.html"
    results, labels = site / "results.parquet", site / "labels.csv"
    calibrate(results, "age", out, labels=labels, page=page, json=True)
    told = json.loads(capsys.readouterr().out)
    assert not told["agrees"]
    assert told["evidence"]["site"]["kind"] == "line"
    assert told["evidence"]["site"]["before"]["value"] > 9.0 > told["evidence"]["value"]
    with bundle.open(out) as made, bundle.open() as demo:
        assert made.digest == told["bundle"]["digest"]
        assert made.manifest.parent.digest == demo.digest == told["parent"]["digest"]
        assert made.manifest.calibration == demo.manifest.calibration
        assert trust.read(made)["age"].folds.subjects == pytest.approx(24.0)
        seen = [exposure.read(of).of("age").labelled_subjects for of in (demo, made)]
        assert len(seen[1] - seen[0]) == 24
    with pytest.raises(InputError, match="24 of the 24 subjects of the controls have trained this"):
        calibrate_again(site, out)
    text = page.read_text()
    assert text.count("<svg") == 3
    assert "coverage at 90 %" in text
    show(out)
    said = capsys.readouterr().out
    assert f"child of demo {told['parent']['digest']}" in said
    assert "## Whose child it is" in said
    verify_bundle(out, parent=bundle.DEMO)
    assert "a child of demo" in capsys.readouterr().out
    with pytest.raises(BundleError, match="is no child"):
        verify_bundle(bundle.DEMO, parent=out)


def test_what_is_missing_is_told_before_anything_is_written(site, tmp_path):
    out = tmp_path / "site.fmtool"
    results = site / "results.parquet"
    with pytest.raises(InputError, match=r"8 subjects are too few to calibrate age at 90 %"):
        calibrate(results, "age", out, labels=site / "few.csv")
    with pytest.raises(UsageError, match="holds no labels; name their table with --labels"):
        calibrate(results, "age", out)
    with pytest.raises(UsageError, match="has no task 'gap'"):
        calibrate(results, str(site / "gap.toml"), out, labels=site / "labels.csv")
    with pytest.raises(BundleError, match=r"ends in \.fmtool"):
        calibrate(results, "age", tmp_path / "site", labels=site / "labels.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_head_of_ones_own_as_a_child_and_as_json(site, tmp_path, capsys):
    results, labels, gap = site / "results.parquet", site / "labels.csv", str(site / "gap.toml")
    probe(results, gap, tmp_path / "head.json", labels=labels, cache=tmp_path)
    head = heads.load(tmp_path / "head.json")
    assert len(head.exposure.labelled_subjects) == 24
    probe(results, gap, tmp_path / "own.fmtool", bundle.DEMO, labels=labels, cache=tmp_path)
    assert "gap: 24 scans of 24 subjects" in capsys.readouterr().out
    with bundle.open(tmp_path / "own.fmtool") as made:
        assert list(made.tasks) == ["age", "sex", "gap"]
        assert made.evidence("gap") == json.loads(json.dumps(head.evidence))
        weight, bias = affine(made, ["gap"])["gap"]
        np.testing.assert_allclose(weight, head.weight, rtol=1e-3, atol=1e-4)
        assert bias == pytest.approx(head.bias, rel=1e-4)
    with pytest.raises(UsageError, match="has a head of age already"):
        probe(results, "age", tmp_path / "two.fmtool", labels=labels, cache=tmp_path)
    probe(results, "age", tmp_path / "one.fmtool", labels=labels, cache=tmp_path, drop_heads=True)
    with bundle.open(tmp_path / "one.fmtool") as made:
        assert list(made.tasks) == ["age"]


def test_a_checkpoint_makes_no_child(site, tmp_path):
    with pytest.raises(UsageError, match="is no bundle"):
        probe(site / "labels.csv", "age", tmp_path / "x.fmtool", tmp_path / "encoder")


NO_TORCH = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = ("torch", "monai", "lightning", "onnx", "pandas", "deepbet", "nilearn")
        if name.partition(".")[0] not in hidden:
            return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from fmtool.cli import main
main()
"""


@pytest.mark.slow
def test_neither_needs_torch(site, tmp_path):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-c", NO_TORCH, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        )

    given = (site / "results.parquet", "--labels", site / "labels.csv")
    done = run("calibrate", *given, "--task", "age", "-o", tmp_path / "site.fmtool")
    assert done.returncode == 0, done.stderr
    own = tmp_path / "own.fmtool"
    done = run("train", "probe", *given, "--task", site / "gap.toml", "-o", own)
    assert done.returncode == 0, done.stderr
    assert run("bundle", "verify", own).returncode == 0
