"""Splits on disk: balanced, by subject, the same for the same seed; and what a file may not say."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, ALZHEIMERS
from training import cohort
from training.cohort import Cohort, Row
from training.cohort import split as split_file
from training.cohort.split_make import interleaved, make, strata_of

N = 120  # subjects, of two scans each


def a_cohort(folder, task=AGE, sites=lambda i: None, n=N):
    rng = np.random.default_rng(0)
    labels = rng.uniform(20, 80, n) if task is AGE else (np.arange(n) % 4 == 0).astype(float)
    table = folder / "cohort.csv"
    table.write_text("stands for a table\n")
    rows = [
        Row(f"s{i}", Path(f"{i}-{scan}.nii"), None, labels[i] + scan * (task is AGE), sites(i), 2)
        for i in range(n)
        for scan in range(2)
    ]
    return Cohort(table, task, rows)


@pytest.mark.parametrize("task", [AGE, ALZHEIMERS], ids=lambda t: t.name)
@pytest.mark.parametrize("seed", range(3))
def test_parts_are_balanced_whole_and_apart(tmp_path, task, seed):
    whole = a_cohort(tmp_path, task)
    split_file.write(tmp_path / "split.json", make(whole, (0.6, 0.2, 0.2), seed))
    parts = split_file.read(tmp_path / "split.json", whole)
    rows = [parts.train.rows, parts.validation.rows, parts.test.rows]
    assert [len(part) for part in rows] == [144, 48, 48]
    assert sorted(row.image for part in rows for row in part) == sorted(r.image for r in whole.rows)
    subjects = [{row.subject for row in part} for part in rows]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == N
    means = [np.mean([row.label for row in part]) for part in rows]
    assert np.ptp(means) < (3.0 if task is AGE else 0.05)


def test_strata_hold_their_share_in_every_run_of_the_order():
    labels = {f"s{i}": float(i) for i in range(103)}
    stratum = strata_of(labels, AGE)
    sizes = np.bincount(list(stratum.values()))
    assert len(sizes) == 10
    assert np.ptp(sizes) <= 1
    order = interleaved(list(labels), stratum, np.random.default_rng(1))
    assert sorted(order) == sorted(labels)
    for start in range(0, 103, 9):
        for stop in range(start, 104, 7):
            count = np.bincount([stratum[s] for s in order[start:stop]], minlength=10)
            assert np.abs(count - (stop - start) / 103 * sizes).max() < 2.0


def test_equal_seeds_and_row_orders_split_alike(tmp_path):
    whole = a_cohort(tmp_path)
    first = make(whole, seed=3, subsets=[0.5])
    assert make(whole, seed=3, subsets=[0.5]) == first != make(whole, seed=4, subsets=[0.5])
    assert make(Cohort(whole.path, AGE, whole.rows[::-1]), seed=3, subsets=[0.5]) == first
    assert first.table == "cohort.csv"
    assert (first.seed, first.task) == (3, "age")


@pytest.mark.parametrize("task", [AGE, ALZHEIMERS], ids=lambda t: t.name)
def test_subsets_are_nested_and_balanced(tmp_path, task):
    whole = a_cohort(tmp_path, task)
    split_file.write(tmp_path / "s.json", make(whole, subsets=[0.5, 0.1, 0.2]))
    parts = split_file.read(tmp_path / "s.json", whole)
    assert list(parts.subsets) == [0.1, 0.2, 0.5]
    every = (*parts.subsets.values(), parts.train)
    images = [{row.image for row in part.rows} for part in every]
    for smaller, larger in pairwise(images):
        assert smaller < larger
    assert [len(i) for i in images] == [16, 34, 84, 168]
    mean = np.mean([row.label for row in parts.train.rows])
    for fraction, part in parts.subsets.items():
        far = abs(part.labels.mean() - mean)
        assert far < (10.0 if task is AGE else 0.26) * (0.1 / fraction) ** 0.5


def test_by_site(tmp_path):
    whole = a_cohort(tmp_path, sites=lambda i: "ABC"[i % 3])
    made = make(whole, (0.75, 0.25, 0.0), test_sites=["B"])
    parts = split_file.parted(made, whole)
    assert {row.site for row in parts.test.rows} == {"B"}
    assert (
        {row.site for row in parts.train.rows}
        == {row.site for row in parts.validation.rows}
        == {"A", "C"}
    )
    assert [len(part.rows) for part in (parts.train, parts.validation, parts.test)] == [120, 40, 80]
    assert made.test_sites == ["B"]
    with pytest.raises(InputError, match="no site 'D'; it has A, B, C"):
        make(whole, test_sites=["D"])
    whole.rows.append(Row("s0", Path("x.nii"), None, 30.0, "B", 9))
    with pytest.raises(InputError, match=r"s0 was scanned inside and outside .*lines 2 and 9"):
        make(whole, test_sites=["B"])
    whole.rows[-1] = Row("s1", Path("x.nii"), None, 30.0, None, 9)
    with pytest.raises(InputError, match="line 9 has no site"):
        make(whole, test_sites=["B"])


@pytest.mark.parametrize(
    ("fractions", "subsets"),
    [((0.7, 0.2, 0.2), ()), ((0.0, 0.5, 0.5), ()), ((0.9, 0.1, 0.0), ()), ((1.2, -0.4, 0.2), ()),
     ((float("nan"), 0.5, 0.5), ()), ((0.7, 0.15, 0.15), (1.0,)), ((0.7, 0.15, 0.15), (0.0,))],
)  # fmt: skip
def test_fractions_that_are_none(tmp_path, fractions, subsets):
    with pytest.raises(UsageError, match="fraction"):
        make(a_cohort(tmp_path), fractions, subsets=subsets)


def test_too_few_subjects_for_a_part(tmp_path):
    with pytest.raises(InputError, match="the validation part would be empty"):
        make(a_cohort(tmp_path, n=5), (0.7, 0.05, 0.25))
    with pytest.raises(InputError, match=r"the (validation|test) part would hold no subject of"):
        make(a_cohort(tmp_path, ALZHEIMERS, n=8))
    with pytest.raises(InputError, match=r"the subset 0\.1 would be empty"):
        make(a_cohort(tmp_path, n=6), (0.5, 0.25, 0.25), subsets=[0.1])
    no_validation = make(a_cohort(tmp_path, n=6), (0.5, 0.0, 0.5))
    assert [len(no_validation.subjects[p]) for p in split_file.PARTS] == [3, 0, 3]


@pytest.fixture
def written(tmp_path):
    """A cohort, its split's file, and a function that changes what the file says."""
    whole = a_cohort(tmp_path)
    path = tmp_path / "split.json"
    split_file.write(path, make(whole, subsets=[0.5]))

    def change(edit):
        data = json.loads(path.read_text(encoding="utf-8"))
        edit(data)
        path.write_text(json.dumps(data))

    return whole, path, change


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d["subjects"]["test"].append(d["subjects"]["train"][0]),
         r"split\.json: subject s\d+ is in both train and test"),
        (lambda d: d["subjects"]["test"].append(d["subjects"]["test"][0]), "listed twice in test"),
        (lambda d: d["subjects"]["test"].append("who"), r"subject who is not in .*cohort\.csv"),
        (lambda d: d["subjects"]["train"].pop(), r"subject s\d+ of .* is in no part"),
        (lambda d: d["subsets"]["0.5"].append(d["subjects"]["test"][0]), r"subset 0\.5 is not in"),
        (lambda d: d["subsets"].update({"2": []}), "not between 0 and 1"),
        (lambda d: d["subjects"].pop("validation"), "its parts are not train, validation, test"),
        (lambda d: d["subjects"].update(test="s1"), "a list of subjects is none"),
        (lambda d: d.update(format=2), "its format is 2; this fmtool reads 1"),
        (lambda d: d.pop("seed"), "not a split that `fmtool train split` wrote"),
        (lambda d: d.update(more=1), "not a split that `fmtool train split` wrote"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say(written, edit, said):
    whole, path, change = written
    change(edit)
    with pytest.raises(InputError, match=said):
        split_file.read(path, whole)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b"\xff", b"[" * 100000])
def test_files_that_are_none(written, content):
    whole, path, _ = written
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"split\.json is not a split"):
        split_file.read(path, whole)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        split_file.read(path, whole)


def test_a_changed_table_must_be_split_again(written):
    whole, path, _ = written
    whole.path.write_text("another table\n")
    with pytest.raises(InputError, match=r"another content .*split it again"):
        split_file.read(path, whole)


def test_a_file_is_never_overwritten(written):
    whole, path, _ = written
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"split\.json exists"):
        split_file.write(path, make(whole, seed=9))
    assert path.read_bytes() == before


def tables(folder, **lines):
    paths = []
    for name, rows in lines.items():
        for row in rows:
            image = folder / row.split(",")[0]
            image.parent.mkdir(exist_ok=True)
            if not image.exists():
                image.write_text(f"the bytes of {row}")
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text("\n".join(["image_path,label", *rows]) + "\n")
    return paths


def test_a_training_that_must_not_see_the_tested_leaves_them_out(tmp_path):
    rows = [f"sub-{i}/a.nii,{20 + i}" for i in range(20)]
    (table,) = tables(tmp_path, all=rows)
    split_file.write(tmp_path / "split.json", make(cohort.read(table, AGE)))
    parts = split_file.read(tmp_path / "split.json", cohort.read(table, AGE))
    left = split_file.without_tested(tmp_path / "split.json", cohort.read(table, None))
    assert left.subjects == parts.train.subjects
    table.write_text("image_path\nsub-1/a.nii\n")
    with pytest.raises(InputError, match="split it again"):
        split_file.without_tested(tmp_path / "split.json", cohort.read(table, None))


def test_a_split_moves_with_its_folder(tmp_path):
    names = [f"scan{i}.nii,{20 + i}" for i in range(20)]
    here = tmp_path / "here"
    here.mkdir()
    (table,) = tables(here, all=names)
    split_file.write(here / "split.json", make(cohort.read(table, AGE, each_scan_is_a_person=True)))
    here.rename(tmp_path / "there")
    moved = cohort.read(tmp_path / "there" / "all.csv", AGE, each_scan_is_a_person=True)
    parts = split_file.read(tmp_path / "there" / "split.json", moved)
    assert sum(len(part.rows) for part in (parts.train, parts.validation, parts.test)) == 20


def test_three_tables(tmp_path):
    paths = tables(
        tmp_path,
        train=["sub-1/a.nii,20", "sub-1/b.nii,21", "x.nii,30"],
        val=["sub-2/a.nii,20"],
        test=["sub-3/a.nii,20"],
    )
    parts = split_file.from_tables(*paths, AGE, each_scan_is_a_person=True)
    rows = [*parts.train.rows[:2], *parts.validation.rows, *parts.test.rows]
    assert [row.subject for row in rows] == [
        "sub-1", "sub-1", "sub-2", "sub-3",
    ]  # fmt: skip
    assert not parts.subsets

    paths = tables(
        tmp_path, train=["sub-1/a.nii,20"], val=["sub-2/a.nii,20"], test=["sub-1/c.nii,2"]
    )
    with pytest.raises(
        InputError, match=r"subject sub-1 is in both .*train\.csv line 2 and .*test\.csv line 2"
    ):
        split_file.from_tables(*paths, AGE)

    (tmp_path / "copy.nii").write_bytes((tmp_path / "x.nii").read_bytes())
    paths = tables(tmp_path, train=["x.nii,30"], val=["sub-2/a.nii,20"], test=["copy.nii,30"])
    with pytest.raises(InputError, match=r"copy\.nii on line 2 of .*test\.csv is the same image"):
        split_file.from_tables(*paths, AGE, each_scan_is_a_person=True)
