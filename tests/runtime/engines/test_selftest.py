"""The self-test refuses what differs, accepts what agrees, and remembers a pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool import space, task
from fmtool.bundle import Bundle
from fmtool.bundle.manifest import Expected, FileFacts, TaskEntry
from fmtool.errors import BundleError, ParityError
from runtime.engines import selftest
from runtime.engines.base import Arrays, Engine

EXPECTED = {"embedding": [3.0, 4.0], "age": [40.0]}


class Fake(Engine):
    """An engine that answers `outputs` and counts how often it is asked."""

    library, version, device = "fake", "1.0", "cpu"

    def __init__(self, outputs: dict[str, list[float]], precision: str = "float32") -> None:
        self.precision = precision
        self.outputs = outputs
        self.given: list[Arrays] = []

    def run(self, inputs: Arrays) -> Arrays:
        self.given.append(inputs)
        return {name: np.array([v], dtype=np.float32) for name, v in self.outputs.items()}

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    grid = np.zeros(space.GRID_SHAPE, dtype=np.uint8)
    grid[90:100, 100:120, 60:90] = 200
    path = tmp_path_factory.mktemp("template") / "template.nii"
    nib.save(nib.Nifti1Image(grid, space.grid_affine()), path)
    return path


@pytest.fixture
def bundle(template: Path) -> Bundle:
    tolerance, by_task = {"float32": 1e-3, "bfloat16": 1e-2}, {"float32": 0.1, "bfloat16": 0.5}
    manifest = replace(
        bundles.open().manifest,
        template=template.name,
        files={template.name: FileFacts("", 0)},
        tasks={},
        self_test=Expected(EXPECTED, tolerance, {"age": by_task}),
    )
    return Bundle(template.parent, manifest, "digest")


def change(bundle: Bundle, **fields: Any) -> None:
    bundle.manifest = replace(bundle.manifest, **fields)


def test_the_network_sees_the_template_and_its_brain(bundle: Bundle) -> None:
    engine = Fake(EXPECTED)
    selftest.run(engine, bundle)
    (given,) = engine.given
    assert given["volume"].shape == (1, 1, *space.CROP_SHAPE)
    assert given["volume"].dtype == given["mask"].dtype == np.float32
    np.testing.assert_array_equal(given["mask"] * 200, given["volume"])
    assert given["mask"].sum() == 10 * 20 * 30


def test_errors_are_relative_for_the_embedding_and_in_units_for_a_task(bundle: Bundle) -> None:
    result = selftest.run(Fake({"embedding": [3.0, 4.004], "age": [40.05]}), bundle)
    assert result.errors["embedding"] == pytest.approx(0.004 / 5, rel=1e-3)
    assert result.errors["age"] == pytest.approx(0.05, rel=1e-3)
    assert not result.from_cache


def test_a_logit_that_is_sure_is_held_to_a_relative_tolerance(bundle: Bundle) -> None:
    change(bundle, tasks={"age": TaskEntry(task.SEX, {})})
    selftest.run(Fake({"embedding": [3.0, 4.0], "age": [40.95]}), bundle)
    with pytest.raises(ParityError, match=r"age is off by 1\.1, tolerance 1;"):
        selftest.run(Fake({"embedding": [3.0, 4.0], "age": [41.1]}), bundle)


def test_a_task_without_a_tolerance_of_its_own_is_relative(bundle: Bundle) -> None:
    change(bundle, self_test=replace(bundle.manifest.self_test, by_task={}))
    assert selftest.run(Fake({"embedding": [3.0, 4.0], "age": [40.02]}), bundle).errors[
        "age"
    ] == pytest.approx(0.02 / 40, rel=1e-3)
    with pytest.raises(ParityError, match="age"):
        selftest.run(Fake({"embedding": [3.0, 4.0], "age": [40.05]}), bundle)


@pytest.mark.parametrize(
    ("outputs", "named"),
    [
        ({"embedding": [3.0, 4.02], "age": [40.0]}, "embedding is off by 0.004, tolerance 0.001"),
        ({"embedding": [3.0, 4.0], "age": [40.2]}, "age is off by 0.2, tolerance 0.1"),
        ({"embedding": [3.0, float("nan")], "age": [40.0]}, "embedding is off by nan"),
        ({"embedding": [3.0, 4.0, 5.0], "age": [40.0]}, "embedding is off by inf"),
        ({"embedding": [3.0, 4.0]}, "no output 'age'"),
    ],
)
def test_what_differs_is_refused(
    bundle: Bundle, outputs: dict[str, list[float]], named: str, tmp_path: Path
) -> None:
    with pytest.raises(ParityError, match=named) as caught:
        selftest.verify(Fake(outputs), bundle, tmp_path)
    assert "fake 1.0, cpu, float32" in str(caught.value)
    assert not list(tmp_path.iterdir())  # a failure is never remembered


def test_a_reduced_precision_that_failed_is_not_tried_again(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="age is off by 9"):
        selftest.verify(
            Fake({"embedding": [3.0, 4.0], "age": [49.0]}, "bfloat16"), bundle, tmp_path
        )
    good = Fake({"embedding": [3.0, 4.0], "age": [40.0]}, "bfloat16")
    with pytest.raises(ParityError, match="age is off by 9"):
        selftest.verify(good, bundle, tmp_path)
    (stamp,) = tmp_path.iterdir()
    stamp.write_text("damaged")
    assert not selftest.verify(good, bundle, tmp_path).from_cache


def test_each_precision_has_its_tolerance(bundle: Bundle) -> None:
    outputs = {"embedding": [3.0, 4.02], "age": [40.4]}
    assert selftest.run(Fake(outputs, "bfloat16"), bundle).errors["age"] < 0.5
    with pytest.raises(BundleError, match="float16"):
        selftest.run(Fake(outputs, "float16"), bundle)


def test_a_pass_is_remembered(bundle: Bundle, tmp_path: Path) -> None:
    first = selftest.verify(Fake(EXPECTED), bundle, tmp_path)
    engine = Fake(EXPECTED)
    second = selftest.verify(engine, bundle, tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.errors == first.errors
    assert not engine.given


def test_the_templates_maps_are_kept_with_a_pass(bundle: Bundle, tmp_path: Path) -> None:
    heads = [TaskEntry(task.AGE, {}, "age_map"), TaskEntry(task.SEX, {})]
    change(bundle, tasks={entry.task.name: entry for entry in heads})
    engine = Fake(EXPECTED | {"age_map": [39.0, 41.0], "sex": [0.0]})
    first = selftest.verify(engine, bundle, tmp_path)
    again = selftest.verify(engine, bundle, tmp_path)
    assert again.from_cache
    for passed in (first, again):
        assert list(passed.maps) == ["age_map"]
        assert passed.maps["age_map"].dtype == np.float32
        np.testing.assert_array_equal(passed.maps["age_map"], [[39.0, 41.0]])


def test_a_pass_of_an_earlier_version_without_maps_is_measured_anew(
    bundle: Bundle, tmp_path: Path
) -> None:
    engine = Fake(EXPECTED)
    selftest.verify(engine, bundle, tmp_path)
    (stamp,) = tmp_path.glob("*.json")
    content = json.loads(stamp.read_text(encoding="utf-8"))
    del content["maps"]
    stamp.write_text(json.dumps(content))
    assert not selftest.verify(engine, bundle, tmp_path).from_cache


def test_another_precision_version_or_bundle_is_measured_anew(
    bundle: Bundle, tmp_path: Path
) -> None:
    selftest.verify(Fake(EXPECTED), bundle, tmp_path)
    newer = Fake(EXPECTED)
    newer.version = "1.1"
    assert not selftest.verify(newer, bundle, tmp_path).from_cache
    assert not selftest.verify(Fake(EXPECTED, "bfloat16"), bundle, tmp_path).from_cache
    other = Bundle(bundle.path, bundle.manifest, "another digest")
    assert not selftest.verify(Fake(EXPECTED), other, tmp_path).from_cache


@pytest.mark.parametrize("content", ["", "[]", '{"errors": 1}', '{"errors": {"age": "x"}}'])
def test_a_damaged_stamp_is_measured_anew(bundle: Bundle, tmp_path: Path, content: str) -> None:
    selftest.verify(Fake(EXPECTED), bundle, tmp_path)
    (stamp,) = tmp_path.iterdir()
    stamp.write_text(content)
    assert not selftest.verify(Fake(EXPECTED), bundle, tmp_path).from_cache
    assert json.loads(stamp.read_text(encoding="utf-8"))["errors"].keys() == EXPECTED.keys()


def test_a_cache_that_cannot_be_written_costs_a_run_and_nothing_else(
    bundle: Bundle, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for _ in range(2):
        assert not selftest.verify(Fake(EXPECTED), bundle, blocked / "engines").from_cache


def test_the_default_cache_is_the_users(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    selftest.verify(Fake(EXPECTED), bundle)
    assert len(list((tmp_path / "fmtool" / "engines").glob("*.json"))) == 1


def test_a_task_that_the_model_does_not_answer_is_refused(bundle: Bundle) -> None:
    from fmtool.task import SEX

    change(bundle, tasks={"sex": TaskEntry(SEX, {})})
    with pytest.raises(ParityError, match="no output 'sex'"):
        selftest.run(Fake(EXPECTED), bundle)
