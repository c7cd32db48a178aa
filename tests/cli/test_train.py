"""From a checkpoint and a table to a bundle that predicts: import, probe, export, predict."""

from __future__ import annotations

import json
from dataclasses import fields

import nibabel as nib
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from fmtool import bundle, space
from fmtool.cli import train
from fmtool.task import AGE
from runtime.predict import Predictor
from training.evidence import head as heads
from training.fit.settings import Settings

torch = pytest.importorskip("torch")
encoders = pytest.importorskip("training.encoders")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint in upstream's layout, of a very narrow encoder."""
    torch.manual_seed(0)
    state = encoders.build(width=1 / 32).state_dict()
    state = {f"module.encoder.{k}": v for k, v in state.items()}
    state["module.projector.0.weight"] = torch.zeros(16, 16)
    path = tmp_path_factory.mktemp("upstream") / "simclr.tar"
    torch.save({"model_state_dict": state, "optimizer_state_dict": {}, "epoch": 7}, path)
    return path


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Sixteen prepared heads whose texture follows a known age."""
    return sixteen(tmp_path_factory.mktemp("cohort"), "s", 20)


@pytest.fixture(scope="module")
def controls(tmp_path_factory):
    """As many others."""
    return sixteen(tmp_path_factory.mktemp("controls"), "c", 21)


def sixteen(folder, letter, youngest):
    template = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj).astype(np.float32)
    mask = (template > 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(mask, space.grid_affine()), folder / "mask.nii.gz")
    rng = np.random.default_rng(0)
    fine = rng.standard_normal(space.GRID_SHAPE, dtype=np.float32)
    lines = ["image_path,mask_path,label,subject"]
    for i in range(16):
        age = youngest + 3 * i
        volume = (template + age * fine) * mask
        image = nib.Nifti1Image(np.rint(volume).astype(np.int16), space.grid_affine())
        nib.save(image, folder / f"head{i}.nii")
        lines.append(f"head{i}.nii,mask.nii.gz,{age},{letter}{i}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"


@pytest.mark.slow
def test_the_whole_way(fmtool, checkpoint, cohort, prepared_head, tmp_path):
    done = fmtool("train", "import", checkpoint, "-o", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr
    assert "16 features" in done.stdout

    words = ("--encoder", tmp_path / "encoder", "-o", tmp_path / "age.json")
    done = fmtool("train", "probe", cohort, "--task", "age", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evidence = json.loads((tmp_path / "age.json").read_text(encoding="utf-8"))["evidence"]
    assert evidence["n_subjects"] == 16
    assert evidence["beats_baseline"], evidence
    assert "beats its baseline" in done.stdout
    assert "90 % intervals, CV+ over 5 folds" in done.stdout

    done = fmtool(
        "export", tmp_path / "encoder", "--head", tmp_path / "age.json",
        "--fp16", "-o", tmp_path / "mine.fmtool",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "model.fp16.onnx" in done.stdout

    done = fmtool("predict", prepared_head, "--bundle", tmp_path / "mine.fmtool", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["bundle"]["name"] == "mine"
    head = json.loads((tmp_path / "age.json").read_text(encoding="utf-8"))
    expected = np.dot(head["weight"], result["embedding"]) + head["bias"]
    answered = result["values"]["age"]
    assert answered["value"] == pytest.approx(expected, abs=0.5)
    assert answered["interval"]["low"] < answered["interval"]["high"]
    assert answered["interval"]["level"] == 0.9
    assert 1 / 17 <= answered["novelty_p"] == result["novelty_p"] <= 1
    card = (tmp_path / "mine.fmtool" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "90 % intervals by CV+ over 5 folds on 16 subjects" in card


@pytest.mark.slow
def test_the_whole_way_of_an_encoder_that_keeps_place(
    fmtool, checkpoint, cohort, controls, prepared_head, tmp_path
):
    def done(*words):
        found = fmtool(*words, cwd=tmp_path)
        assert found.returncode == 0, found.stderr
        return found.stdout

    grid = ("--stage", 2, "--cells", 3, 4, 4, "--histogram")
    assert "672 features" in done("train", "import", checkpoint, *grid, "-o", "grid")
    done("train", "probe", cohort, "--task", "age", "--encoder", "grid", "-o", "age.json")
    done("export", "grid", "--head", "age.json", "-o", "mine.fmtool")
    card = (tmp_path / "mine.fmtool" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "cut after stage 2, in 3x4x4 cells beside local intensity histograms" in card
    (tmp_path / "gap.toml").write_text(
        'name = "gap"\nkind = "regression"\nlabel = "label"\nunit = "years"\n'
    )
    own = ("--task", "gap.toml", "--encoder", "mine.fmtool", "-o", "own.fmtool")
    done("train", "probe", cohort, *own)
    done("calibrate", controls, "--task", "age", "--bundle", "mine.fmtool", "-o", "site.fmtool")

    head = json.loads((tmp_path / "age.json").read_text(encoding="utf-8"))
    for name, tasks in (("mine", ["age"]), ("own", ["age", "gap"]), ("site", ["age"])):
        with Predictor(tmp_path / f"{name}.fmtool", engine="onnxruntime") as predictor:
            result = predictor.predict(prepared_head)
        assert list(result.maps) == tasks
        assert all(found.values.shape == (38, 48, 48) for found in result.maps.values())
        assert all(found.error < 1e-4 for found in result.maps.values())
        assert all(found.values.std() > 0 for found in result.maps.values())
        assert 1 / 17 <= result.novelty <= 1
        assert result.predictions["age"].interval is not None
        if name != "site":
            expected = np.dot(head["weight"], result.embedding) + head["bias"]
            assert result.maps["age"].output == pytest.approx(expected, abs=1e-2)
    # A head that the site moved is kept once, not once for each subject left out.
    kept = json.loads((tmp_path / "site.fmtool" / "trust.json").read_text())["age"]["folds"]
    assert (len(kept["weight"]), len(kept["bias"])) == (1, 16)


@pytest.mark.slow
def test_a_grid_that_cannot_be_is_refused(fmtool, checkpoint, tmp_path):
    for words, said in (
        (("--stage", 4, "--cells", 11, 4, 4), "11 cells do not fit the 10 positions"),
        (("--stage", 4), "name both"),
        (("--cells", 2, 2, 2, "--stage", 2, "-o", tmp_path / "a.pt"), "a folder of its own"),
        (("--histogram",), "with --stage and --cells"),
    ):
        done = fmtool("train", "import", checkpoint, "-o", tmp_path / "grid", *words)
        assert done.returncode == 2
        assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_import_to_upstreams_layout_and_back(fmtool, checkpoint, tmp_path):
    done = fmtool("train", "import", checkpoint, "-o", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'encoder'}: resnet18, width 0.03125, 16 features\n"
    done = fmtool("train", "import", tmp_path / "encoder", "-o", tmp_path / "back.tar")
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "back.tar", weights_only=True)["model_state_dict"]
    state = torch.load(checkpoint, weights_only=True)["model_state_dict"]
    wanted = {k.removeprefix("module."): t for k, t in state.items() if ".encoder." in k}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)

    before = (tmp_path / "back.tar").read_bytes()
    done = fmtool("train", "import", tmp_path / "encoder", "-o", tmp_path / "back.tar")
    assert done.returncode == 1
    assert "exists and is left as it is" in done.stderr
    assert (tmp_path / "back.tar").read_bytes() == before


@pytest.mark.slow
def test_import_says_what_weights_do_not_tell(fmtool, checkpoint, tmp_path):
    done = fmtool("train", "import", checkpoint, "-o", tmp_path / "encoder")
    assert "assumed: its first convolution has stride 1 and max pooling follows it" in done.stderr
    told = ("--stem-stride", 2, "--no-max-pool")
    done = fmtool("train", "import", checkpoint, "-o", tmp_path / "told", *told)
    assert done.returncode == 0, done.stderr
    assert "assumed" not in done.stderr
    facts = json.loads((tmp_path / "told" / "encoder.json").read_text(encoding="utf-8"))
    assert facts["layout"]["conv1_t_stride"] == [2, 2, 2]
    assert facts["layout"]["no_max_pool"] is True
    done = fmtool("train", "import", tmp_path / "told", "-o", tmp_path / "again", *told)
    assert done.returncode == 2
    assert "tells its own network" in done.stderr


def test_every_training_has_the_options_of_its_settings():
    for verb, rate in (("simclr", None), ("mae", None), ("supervised", 1e-4), ("finetune", 1e-4)):
        command = typer.main.get_command(train.app).commands[verb]
        options = {option.name: option for option in command.params}
        assert options.keys() >= {field.name for field in fields(Settings)}
        assert options["learning_rate"].default == rate
        assert options["clip_norm"].opts == ["--clip"]
        assert all(option.help for option in options.values())
        assert command.help
        wrong = CliRunner().invoke(train.app, [verb, "t.csv", "-o", "run", "--device", "tpu"])
        assert wrong.exit_code == 2


@pytest.mark.slow
def test_import_of_a_monai_bundle(fmtool, tmp_path):
    nets = pytest.importorskip("monai.networks.nets")
    given = {"spatial_dims": 3, "n_input_channels": 1, "num_classes": 2, "widen_factor": 0.03125}
    network = nets.resnet18(**given, conv1_t_stride=2)
    for folder in ("configs", "models"):
        (tmp_path / "bundle" / folder).mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "bundle" / "models" / "model.pt")
    place = tmp_path / "bundle" / "configs" / "train.json"
    place.write_text(
        json.dumps({"network_def": {"_target_": "resnet18", "conv1_t_stride": "@stride", **given},
                    "stride": 2})
    )  # fmt: skip
    done = fmtool("train", "import", tmp_path / "bundle", "-o", tmp_path / "encoder")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'encoder'}: resnet18, width 0.03125, 16 features\n"
    assert "left out: fc.bias, fc.weight" in done.stderr
    loaded, info = encoders.load_checkpoint(tmp_path / "encoder")
    assert info["layout"]["conv1_t_stride"] == [2, 2, 2]
    assert torch.equal(loaded.conv1.weight, network.conv1.weight)

    text = place.read_text(encoding="utf-8").replace(
        '"stride": 2', f"\"stride\": \"$open('{tmp_path}/ran', 'w')\""
    )
    place.write_text(text)
    done = fmtool("train", "import", tmp_path / "bundle", "-o", tmp_path / "again")
    assert done.returncode == 1
    assert "stride is an expression" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "encoder"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("probe", "absent.csv", "-t", "age", "-e", "{enc}", "-o", "h.json"), 1, "absent.csv"),
        (("probe", "t.csv", "-t", "iq", "-e", "{enc}", "-o", "h.json"), 2, "there are age, sex"),
        (("probe", "t.csv", "-t", "age", "-e", "{enc}", "-o", "h.json"), 1, "line 2"),
        (("import", "t.csv", "-o", "enc"), 1, "t.csv"),
    ],
)
def test_mistakes(fmtool, checkpoint, tmp_path, words, code, said):
    (tmp_path / "t.csv").write_text("image_path,label\nnowhere.nii.gz,200\n")
    done = fmtool("train", *(w.format(enc=checkpoint) for w in words), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.slow
def test_a_head_of_two_sites_is_harmonised_and_served_to_one(
    fmtool, checkpoint, cohort, controls, prepared_head, tmp_path
):
    lines = ["image_path,mask_path,age,subject,site"]
    for site, table in (("A", cohort), ("B", controls)):
        for row in table.read_text().splitlines()[1:]:
            image, mask, age, who = row.split(",")
            lines.append(f"{table.parent / image},{table.parent / mask},{age},{who},{site}")
    (tmp_path / "two.csv").write_text("\n".join(lines) + "\n")

    def done(*words):
        found = fmtool(*words, cwd=tmp_path)
        assert found.returncode == 0, found.stderr
        return found.stdout

    done("train", "import", checkpoint, "-o", "encoder")
    own = ("--encoder", "encoder", "-o", "age.json", "--allow-sites", "--harmonise", "combat")
    told = done("train", "probe", "two.csv", "--task", "age", *own)
    assert "A left out (16 scans of 16" in told
    assert "the site's own median" in told
    assert "all sites left out, pooled" in told
    assert "harmonised by ComBat over A, B." in " ".join(told.split())
    done("export", "encoder", "--head", "age.json", "--site", "B", "-o", "b.fmtool")
    done("export", "encoder", "--head", "age.json", "-o", "any.fmtool")
    head = json.loads((tmp_path / "age.json").read_text(encoding="utf-8"))
    maps = head["harmonised"]["whole"]["B"]
    for name, scale, shift in (("b", maps["scale"], maps["shift"]), ("any", 1.0, 0.0)):
        with Predictor(tmp_path / f"{name}.fmtool", engine="onnxruntime") as predictor:
            result = predictor.predict(prepared_head)
        seen = np.multiply(scale, result.embedding) + shift
        expected = float(np.dot(head["weight"], seen) + head["bias"])
        answered = result.predictions["age"]
        assert answered.value == pytest.approx(expected, abs=0.05)
        assert result.maps["age"].values.mean() == pytest.approx(answered.value, rel=1e-3)
        assert (answered.interval is None) == (name == "any")
        said = {"b": "for scans of site B", "any": "figures are of sites left out"}[name]
        assert any(said in warning for warning in answered.warnings)
        card = (tmp_path / f"{name}.fmtool" / "MODEL_CARD.md").read_text(encoding="utf-8")
        assert said in card
        assert "| A | 16 scans of 16 subjects |" in card
    assert "Leave-one-site-out MAE" in card


def test_harmonising_that_cannot_be_is_refused_before_the_work(fmtool, checkpoint, tmp_path):
    lines = ["image_path,age,subject,site"]
    for i in range(4):
        (tmp_path / f"{i}.nii").write_bytes(bytes([i]))
        lines.append(f"{i}.nii,{20 + i},s{i},A")
    (tmp_path / "one.csv").write_text("\n".join(lines) + "\n")
    own = ("train", "probe", "one.csv", "-t", "age", "-e", checkpoint, "-o", "h.json")
    done = fmtool(*own, "--harmonise", "combat", cwd=tmp_path)
    assert done.returncode == 1
    assert "come from A: there is nothing to harmonise" in done.stderr
    done = fmtool(*own, "--site", "A", cwd=tmp_path)
    assert done.returncode == 2
    assert "`fmtool export --site` makes a bundle of one" in done.stderr
    heads.Head(AGE, np.ones(16), 0.0, {}, "").save(tmp_path / "h.json")
    words = ("export", checkpoint, "--head", "h.json", "--site", "A", "-o", "x.fmtool")
    done = fmtool(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "no head is harmonised, so none can be made for site A" in done.stderr
    assert not (tmp_path / "x.fmtool").exists()


@pytest.mark.slow
def test_export_refuses_before_it_works(fmtool, checkpoint, tmp_path):
    done = fmtool("export", checkpoint, "-o", tmp_path / "no-suffix")
    assert done.returncode == 1
    assert "ends in .fmtool" in done.stderr
    done = fmtool("export", tmp_path / "absent", "-o", tmp_path / "x.fmtool")
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("not a folder")
    done = fmtool("export", checkpoint, "-o", tmp_path / "file" / "x.fmtool")
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert done.stderr.count("error:") == 1
