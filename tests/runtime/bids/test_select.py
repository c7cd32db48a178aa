"""Which scans a BIDS App is asked for, and what their derivatives are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fmtool.errors import InputError, UsageError
from runtime.bids.derivatives import ANSWERS, _paths
from runtime.bids.names import HeadName
from runtime.bids.select import read_filter, select

ONE, TWO = "sub-01_ses-1_acq-mp_run-01_T1w", "sub-01_ses-2_run-2_chunk-3_T1w"
THREE, UNI = "sub-02_T1w", "sub-02_UNIT1"
ALL = [ONE, TWO, THREE, UNI]


def stems(paths):
    return [path.name.split(".")[0] for path in paths]


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({}, ALL),
        ({"participants": ["01"]}, [ONE, TWO]),
        ({"participants": ["sub-02", "01"], "sessions": ["ses-2"]}, [TWO]),
        ({"filters": {"acquisition": "mp"}}, [ONE]),
        ({"filters": {"acq": None}}, [TWO, THREE, UNI]),
        ({"filters": {"acquisition": "Query.ANY"}}, [ONE]),
        ({"filters": {"acquisition": ["mp", None], "suffix": "T1w"}}, [ONE, TWO, THREE]),
        ({"filters": {"run": 1}}, [ONE]),
        ({"filters": {"run": "02"}}, [TWO]),
        ({"filters": {"session": ["1", "2"], "datatype": "anat"}}, [ONE, TWO]),
        ({"filters": {"extension": ".nii", "chunk": "Query.NONE"}}, [THREE]),
    ],
)
def test_a_choice(raw, how, wanted):
    assert stems(select(raw, **how)) == wanted


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ({"participants": ["03"]}, UsageError, "sub-03; it has sub-01, sub-02"),
        ({"sessions": ["9"]}, UsageError, "ses-9"),
        ({"participants": ["../x"]}, UsageError, "no label"),
        ({"filters": {"run": 7}}, InputError, "of that choice"),
    ],
)
def test_a_choice_that_leaves_nothing_is_told(raw, how, kind, said):
    with pytest.raises(kind, match=said):
        select(raw, **how)


def test_what_is_no_data_set_and_what_would_be_mixed_is_refused(raw, tmp_path, kit):
    with pytest.raises(InputError, match="no BIDS data set"):
        select(tmp_path / "absent")
    kit.put(raw, "sub-02/anat/sub-02_T1w.nii.gz")  # beside the same without .gz
    with pytest.raises(InputError, match="one name"):
        select(raw)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"t1w": 3}', '{"t1w": {"colour": "red"}}', '{"t1w": {"run": true}}',
     '{"t1w": {"run": [{}]}}', "[" * 100000],
)  # fmt: skip
def test_a_filter_file_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(InputError, match=r"f\.json"):
        read_filter(tmp_path / "f.json")


def test_other_modalities_of_a_filter_file_are_not_ours(tmp_path):
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"bold": {"task": "rest"}, "t1w": {"run": [1, "2"]}}))
    assert read_filter(path) == {"run": [1, "2"]}
    path.write_text('{"bold": {}}')
    assert read_filter(path) == {}
    with pytest.raises(InputError, match="absent"):
        read_filter(tmp_path / "absent.json")


def test_derivatives_are_named_in_the_order_of_bids(raw):
    made = [_paths(HeadName.of(head.relative_to(raw))) for head in select(raw)]
    everything = [path for paths in made for path in paths.values()]
    assert len(set(everything)) == len(everything)
    assert (
        "sub-01/ses-2/anat/sub-01_ses-2_run-2_space-MNI152NLin2009cSym_chunk-3_res-1"
        "_desc-brain_mask.nii.gz"
    ) in everything
    assert made[2][ANSWERS] == "sub-02/anat/sub-02_desc-fmtool_predictions.json"
    assert "sub-02/anat/sub-02_from-UNIT1_to-MNI152NLin2009cSym_mode-image_xfm.txt" in everything
    # What is in the scan's own space says so in other words.
    own = HeadName.of(Path("sub-1/anat/sub-1_space-orig_desc-x_T1w.nii.gz"))
    assert own.made("anat", "T1w.nii.gz") == "sub-1/anat/sub-1_T1w.nii.gz"
