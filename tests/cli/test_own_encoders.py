"""Two encoders and their heads in one bundle, through the verbs: as each bundle alone."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool import task
from runtime.engines.choose import Wish
from runtime.engines.heads import affine
from runtime.predict import Predictor
from runtime.prepare import Preparer
from training.cohort import Cohort, Row

torch = pytest.importorskip("torch", reason="the train extra is absent")
pytest.importorskip("onnx", reason="the train extra is absent")

pytestmark = pytest.mark.slow

WIDTH, FEATURES = 0.0625, 32
NAMES = ("age", "sex")


def make_encoder(seed):
    """A narrow network whose BatchNorm statistics are not the identity."""
    from training import encoders

    torch.manual_seed(seed)
    encoder = encoders.build("resnet18", width=WIDTH)
    for layer in encoder.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return encoder.eval()


def make_head(about, encoder, seed):
    """A head with limits, fitted on made embeddings of the encoder."""
    from export.reference import feed, template_volume
    from training import encoders, probe

    volume = [
        torch.from_numpy(a)
        for a in feed([template_volume(bundles.DEMO / "template.nii.gz")]).values()
    ]
    with torch.inference_mode():
        at = encoder(encoders.masked_zscore(*volume))[0].numpy().astype(np.float64)
    rng = np.random.default_rng(seed)
    x = at + rng.normal(0.0, 0.3 * np.abs(at).mean(), (60, FEATURES))
    along = (x[:, 0] - at[0]) / x[:, 0].std() + 0.3 * rng.normal(size=60)
    labels = 45.0 + 8.0 * along if about.name == "age" else (along > 0.0) * 1.0
    rows = [
        Row(f"s{i}", Path(f"{i}.nii"), None, float(y), None, i + 2) for i, y in enumerate(labels)
    ]
    digest = encoders.digest(encoder)
    return probe.fit(
        x, Cohort(Path("t.csv"), about, rows), folds=3, repeats=1, encoder_sha256=digest
    ).head


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fmtool):
    """Encoders as `train finetune` leaves them, their heads, a bundle of each and one of both."""
    from export.pack import pack
    from training import encoders
    from training.evidence import evaluate

    made = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluate, "SAMPLES", 20)
        for seed, about in enumerate((task.AGE, task.SEX)):
            encoder, name = make_encoder(seed), about.name
            head = make_head(about, encoder, seed)
            head.save(made / f"{name}.json")
            encoders.save_encoder(made / name, encoder, f"fine-tuned for {name}")
            pack(made / f"alone_{name}.fmtool", made / name, [head], batches=(1,))
    done = fmtool(
        "export", made / "age", made / "sex",
        "--head", made / "sex.json", "--head", made / "age.json",
        "-o", made / "both.fmtool", "--batch", "1", "--fp16",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made


def answer(path, head, wish):
    with Predictor(path, wish=wish) as predictor:
        return predictor.predict(head)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_each_answer_is_that_of_its_own_bundle(folder, prepared_head, monkeypatch, engine):
    prepared, asked = Preparer.__call__, []

    def counted(self, source):
        asked.append(source)
        return prepared(self, source)

    monkeypatch.setattr(Preparer, "__call__", counted)
    wish = Wish(engine=engine, device="cpu", precision="float32")
    both = answer(folder / "both.fmtool", prepared_head, wish)
    assert len(asked) == 1
    assert both.embedding.shape == (2 * FEATURES,)
    for number, name in enumerate(NAMES):
        alone = answer(folder / f"alone_{name}.fmtool", prepared_head, wish)
        mine, own = both[name], alone[name]
        assert mine.value == pytest.approx(own.value, abs=1e-5)
        assert mine.novelty == pytest.approx(own.novelty, abs=1e-5)
        assert mine.novelty is not None
        if name == "age":
            ends = (mine.interval.low, mine.interval.high)
            assert ends == pytest.approx((own.interval.low, own.interval.high), abs=1e-5)
            assert mine.corrected == pytest.approx(own.corrected, abs=1e-5)
        else:
            assert mine.probability == pytest.approx(own.probability, abs=1e-5)
            assert mine.members == own.members
        total, own_total = (float(r.maps[name].values.sum()) for r in (both, alone))
        assert total == pytest.approx(own_total, rel=1e-5)
        np.testing.assert_allclose(
            both.maps[name].values, alone.maps[name].values, rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(both.maps[name].affine, alone.maps[name].affine)
        part = both.embedding[number * FEATURES : (number + 1) * FEATURES]
        np.testing.assert_allclose(part, alone.embedding, rtol=1e-5, atol=1e-6)
        assert mine.warnings == own.warnings
    # The test can fail: the other encoder's embedding would give another interval.
    with bundles.open(folder / "both.fmtool") as opened:
        digests = {opened.manifest.encoder_of(name).sha256 for name in NAMES}
    assert len(digests) == 2


def test_heads_are_found_on_their_own_encoder(folder):
    with bundles.open(folder / "both.fmtool") as opened:
        found = affine(opened, list(NAMES))
    for name in NAMES:
        with bundles.open(folder / f"alone_{name}.fmtool") as opened:
            weight, bias = affine(opened, [name])[name]
        np.testing.assert_allclose(found[name][0], weight, rtol=1e-4, atol=1e-5)
        assert found[name][1] == pytest.approx(bias, abs=1e-5)


def test_the_verbs_take_it(folder, fmtool, prepared_head, tmp_path):
    both = folder / "both.fmtool"
    shown = fmtool("bundle", "show", both).stdout
    assert "2 encoders, each with linear heads of its own" in shown
    assert "- Of age: a resnet18" in shown
    assert "fine-tuned for sex" in shown
    verified = fmtool("bundle", "verify", both)
    assert verified.returncode == 0, verified.stderr
    assert "embedding_2: error" in verified.stdout
    done = fmtool("predict", prepared_head, "--bundle", both, "--task", "age", "--json")
    assert list(json.loads(done.stdout)[0]["values"]) == ["age"]
    key = tmp_path / "key"
    assert fmtool("bundle", "keygen", key).returncode == 0
    signed = tmp_path / "signed.fmtool"
    shutil.copytree(both, signed)
    assert fmtool("bundle", "sign", signed, "--key", key).returncode == 0
    checked = fmtool("bundle", "verify", signed, "--signed-by", f"{key}.pub")
    assert checked.returncode == 0, checked.stderr
    out = tmp_path / "out"
    batch = fmtool("predict", prepared_head, "--bundle", both, "--out", out)
    assert batch.returncode == 0, batch.stderr
    (row,) = csv.DictReader((out / "results.csv").open(encoding="utf-8"))
    assert row["age_predicted"] != ""
    assert row["sex_predicted"] != ""
    (line,) = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert len(kept["embedding"]) == 2 * FEATURES
    assert kept["novelty_p"] == min(one["novelty_p"] for one in kept["values"].values())


@pytest.fixture(scope="module")
def site(folder):
    """A batch's results of 60 people whom both encoders saw, and a table of their ages."""
    pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is absent")
    from pyarrow import parquet

    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 2 * FEATURES))
    with bundles.open(folder / "both.fmtool") as opened:
        digest = opened.digest
    columns = {
        "scan": [f"/data/sub-{i:02}_T1w.nii.gz" for i in range(60)],
        "content": [f"{i:064x}" for i in range(60)],
        "embedding": x.tolist(),
        "brain_volume_ml": [1400.0 + i for i in range(60)],
        "bundle_digest": [digest] * 60,
        "engine": ["openvino, cpu, float32"] * 60,
    }
    parquet.write_table(pyarrow.table(columns), folder / "results.parquet")
    ages = 45.0 + 9.0 * x[:, FEATURES]  # the first feature of the second encoder alone
    lines = [f"sub-{i:02},{age:.2f}" for i, age in enumerate(ages)]
    (folder / "labels.csv").write_text("\n".join(["participant_id,age", *lines]) + "\n")
    return folder


def test_a_sites_head_reads_the_encoder_that_is_named(site, fmtool, tmp_path):
    given = (
        "train", "probe", site / "results.parquet", "--labels", site / "labels.csv",
        "--task", "age", "--bundle", site / "both.fmtool", "-o", tmp_path / "head.json",
    )  # fmt: skip
    refused = fmtool(*given)
    assert refused.returncode == 2
    assert "has 2 encoders, of the heads age, sex" in refused.stderr
    assert "(--encoder-of)" in refused.stderr
    unknown = fmtool(*given, "--encoder-of", "gap")
    assert unknown.returncode == 2
    assert "has no task 'gap'" in unknown.stderr
    errors = {}
    for name in NAMES:
        done = fmtool(*given, "--encoder-of", name, "--overwrite")
        assert done.returncode == 0, done.stderr
        head = json.loads((tmp_path / "head.json").read_text(encoding="utf-8"))
        with bundles.open(site / "both.fmtool") as opened:
            assert head["encoder_sha256"] == opened.manifest.encoder_of(name).sha256
        assert len(head["weight"]) == FEATURES
        errors[name] = head["evidence"]["value"]
    assert errors["sex"] < 0.3 * errors["age"]  # where the age is to be read


def test_a_head_of_ones_own_reads_the_encoder_that_is_named(folder, fmtool, tmp_path):
    """A child of both: its head of `gap` on the encoder below sex."""
    from export import child
    from export.child import ChildHead, Descent

    gap = task.Task("gap", "regression", "years", "gap")
    weight = np.linspace(-1.0, 1.0, FEATURES)
    with bundles.open(folder / "both.fmtool") as parent:
        at = np.array(parent.manifest.self_test.outputs["embedding_2"])
        head = ChildHead(
            task=gap, evidence={}, trust=None, weight=weight, bias=2.0, encoder_of="sex"
        )
        grown = child.write(tmp_path / "grown.fmtool", parent, Descent(made="m.", heads=[head]))
        assert [e.tasks for e in grown.manifest.encoders] == [["age"], ["sex", "gap"]]
        assert grown.manifest.tasks["gap"].map == "gap_map"
        got = grown.manifest.self_test.outputs["gap"][0]
        assert got == pytest.approx(float(weight @ at + 2.0), abs=1e-6)
        only = Descent(made="m.", heads=[head], keeps=False)
        alone = child.write(tmp_path / "alone.fmtool", parent, only)
    assert [e.tasks for e in alone.manifest.encoders] == [["gap"]]
    assert alone.manifest.encoder.embedding == "embedding_2"
    assert set(alone.manifest.self_test.outputs) == {"embedding_2", "gap"}
    assert fmtool("bundle", "verify", alone.path).returncode == 0
