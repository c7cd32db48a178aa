"""The model card says what must be said, in plain words."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from export.parts.card import card
from fmtool import NOTICE, task
from fmtool.bundle.manifest import Manifest

MANIFEST = {
    "name": "Thirty heads",
    "created": "2025-01-02",
    "fmtool": "0.1.0",
    "encoder": {
        "architecture": "resnet18",
        "width": 0.25,
        "features": 128,
        "source": "SimCLR on thirty heads",
        "sha256": "ab" * 32,
        "parameters": 2_080_000,
    },
    "model": {"float32": "model.onnx", "float16": "model.fp16.onnx"},
    "tasks": [
        {
            **task.AGE.to_dict(),
            "evidence": {
                "metric": "MAE",
                "unit": "years",
                "value": 7.24,
                "interval": [5.9, 8.61],
                "baseline": 7.08,
                "baseline_name": "mean of the training folds",
                "beats_baseline": False,
                "sample": "28 scans of 28 subjects, age 19 to 55 years",
            },
        },
        {
            **task.SEX.to_dict(),
            "evidence": {
                "metric": "AUC",
                "value": 0.93,
                "interval": [0.85, 0.99],
                "unit": "",
                "baseline": 0.5,
                "baseline_name": "chance",
                "beats_baseline": True,
                "brain_volume": {"value": 0.9, "head_is_better": False},
            },
        },
    ],
    "demonstration": True,
    "limits": ["Ages 19 to 55, one scanner."],
    "strip": {"locate": "a.onnx", "segment": "b.onnx"},
    "template": "t",
    "self_test": {"outputs": {}, "tolerance": {}},
    "files": {},
}


@pytest.fixture
def manifest():
    return Manifest.from_dict(copy.deepcopy(MANIFEST))


def test_figures_intervals_and_sample_are_there(manifest):
    text = card(manifest)
    assert "MAE 7.24 years (95 % interval 5.9 to 8.61)" in text
    assert "Sample: 28 scans of 28 subjects, age 19 to 55 years." in text
    assert "AUC 0.93 (95 % interval 0.85 to 0.99)" in text


def test_a_head_that_fails_its_baseline_says_so_and_the_other_does_not(manifest):
    age, sex = card(manifest).split("### sex")
    assert "does not beat its baseline (mean of the training folds, MAE 7.08 years)" in age
    assert "The head beats its baseline (chance, AUC 0.5)" in sex
    assert "does not beat" not in sex


def test_brain_volume_alone_is_compared(manifest):
    sentence = "Brain volume alone reaches AUC 0.9 in the same folds; the head"
    assert f"{sentence} **is not shown to be better**." in card(manifest)
    manifest.tasks["sex"].evidence["brain_volume"]["head_is_better"] = True
    assert f"{sentence} is better." in card(manifest)


def test_the_linear_model_of_the_smoothed_scan_is_compared_or_said_to_be_missing(manifest):
    assert "The linear model of the smoothed scan was not measured." in card(manifest)
    beside = {"value": 0.96, "difference_interval": [-0.05, -0.01], "head_is_better": False}
    manifest.tasks["sex"].evidence["smoothed_scan"] = beside
    sentence = "The linear model of the smoothed scan reaches AUC 0.96 in the same folds; the head"
    assert f"{sentence} **is worse**." in card(manifest)


def test_notice_limits_licences_and_provenance_are_there(manifest):
    text = card(manifest, ["LICENSES/deepbet.txt"])
    for words in (
        NOTICE,
        "Ages 19 to 55, one scanner.",
        "- LICENSES/deepbet.txt",
        "SimCLR on thirty heads",
        "ab" * 32,
        "2.08 million parameters",
        "float32 and float16",
        "the probability of M",
        "in years",
    ):
        assert words in text


def test_only_a_demonstration_is_called_one(manifest):
    assert "This is a demonstration" in card(manifest)
    assert "This is a demonstration" not in card(replace(manifest, demonstration=False))


def test_what_was_not_measured_is_said(manifest):
    assert "## How far its outputs move\n\nNot measured: how far" in card(manifest)
    assert "Not measured" not in card(manifest, robustness=["Measured on 3 heads."])


def test_a_head_without_figures_says_so(manifest):
    manifest.tasks["age"].evidence.clear()
    assert "how good it is, is not known" in card(manifest)


def test_no_heads_and_no_limits(manifest):
    text = card(replace(manifest, tasks={}, limits=[]))
    assert "embeddings only" in text
    assert "untested ground" in text


AGE_TRUST = {
    "method": "CV+ over 5 folds",
    "level": 0.9,
    "subjects": 28,
    "guarantee": 0.663,
    "novelty": 1 / 29,
    "width": 29.4,
    "normalised": False,
    "slope": None,
}
SEX_TRUST = {
    "method": "CV+ over 5 folds",
    "level": 0.9,
    "subjects": 28,
    "guarantee": 0.663,
    "novelty": None,
    "by_class": True,
    "one_class": 0.75,
    "probability": "platt",
    "log_loss": 0.41,
}


def test_intervals_sets_and_what_breaks_them(manifest):
    assert card(manifest).count("no interval and no calibration") == 2
    assert "breaks that" not in card(manifest)
    manifest.tasks["age"].evidence["trust"] = AGE_TRUST
    manifest.tasks["sex"].evidence["trust"] = SEX_TRUST
    text = card(manifest)
    assert "90 % intervals by CV+ over 5 folds on 28 subjects, 29.4 years wide (median)" in text
    assert "at least 66 % of exchangeable subjects" in text
    assert "too little to correct regression to the mean" in text
    assert "p-value, at least 0.034" in text
    assert "Platt's sigmoid (cross-validated log loss 0.410)" in text
    assert "on 28 subjects, within F and within M; proven for at least 66 %" in text
    assert "name one class" not in text  # an earlier version's share was of its own scans
    assert text.count("if the encoder had seen none of them") == 2
    assert "No novelty check" in text
    assert "Another scanner, sequence, age range, disease, skull strip" in text
    exact = {"method": "split conformal", "guarantee": 0.9, "normalised": True, "slope": 0.5}
    manifest.tasks["age"].evidence["trust"] = AGE_TRUST | exact
    text = card(manifest)
    assert "coverage of 90 % is proven for exchangeable subjects, if the encoder" in text
    assert "scaled by the error expected of each scan" in text
    assert "(slope 0.50)" in text
    manifest.tasks["age"].evidence["trust"] = AGE_TRUST | {"width": None, "subjects": 6}
    assert "No interval: 6 calibration subjects are too few." in card(manifest)


def test_what_the_encoder_had_seen_is_told_and_then_nothing_is_proven(manifest):
    evidence = manifest.tasks["age"].evidence
    evidence["trust"] = AGE_TRUST | {"guarantee": 0.9, "slope": 0.5, "corrected_mae": 9.25}
    assert "had seen these subjects is not recorded" in card(manifest)
    evidence["exposure"] = {"images": 0, "labels": 0, "of": 28, "complete": True}
    text = card(manifest)
    assert "The encoder had seen none of these subjects." in text
    assert "coverage of 90 % is proven for exchangeable subjects." in text
    assert "the corrected value (MAE 9.25 years, out of fold) divides" in text
    evidence["exposure"] |= {"images": 20}
    text = card(manifest)
    assert "had seen the images of 20 of these 28 subjects" in text
    assert "no coverage is proven" in text
    assert "is proven for" not in text


def test_the_share_of_a_class_and_what_is_found_of_it_are_told(manifest):
    side = {"value": 0.8, "interval": [0.6, 0.92]}
    more = {"prevalence": 0.32, "sensitivity": side, "specificity": side}
    manifest.tasks["sex"].evidence["trust"] = SEX_TRUST | more
    text = card(manifest)
    assert "Out of fold, 75 % of the sets name one class." in text
    assert "hold where 32 % are M" in text
    assert "sensitivity (M) 0.80 (95 % interval 0.60 to 0.92), specificity (F) 0.80" in text


def of_sites(manifest, **more):
    """The age head, of two sites that are left out, and of one that is too small."""
    told = manifest.tasks["age"].evidence
    figure = {"value": 8.5, "interval": [7.0, 10.2], "baseline": 6.9}
    one = {"site": "Guys|HH", "n": 20, "n_subjects": 18, "baseline_name": "the site's own median"}
    small = {"site": "IOP", "n": 4, "n_subjects": 4, "too_small": "4 subjects are too few"}
    pooled = {**figure, "baseline_name": "each site's own median"}
    left_out = {"sites": [{**one, **figure}, small], "pooled": pooled}
    told["leave_one_site_out"] = left_out | more.pop("left_out", {})
    told |= more
    return Manifest.from_dict({**copy.deepcopy(MANIFEST), "tasks": [
        {**task.AGE.to_dict(), "evidence": told}
    ]})  # fmt: skip


def test_sites_left_out_stand_beside_the_cross_validated_figure(manifest):
    text = card(of_sites(manifest))
    assert "each left out once:" in text
    assert (
        "| Guys\\|HH | 20 scans of 18 subjects | 8.5 years | 7 to 10.2 | 6.9 years (the site's own "
        "median) |"
    ) in text
    assert "| IOP | 4 scans of 4 subjects | too small: 4 subjects are too few | | |" in text
    assert "| all sites |  | 8.5 years | 7 to 10.2 | 6.9 years (each site's own median) |" in text
    assert "harmonised" not in text


def test_a_harmonised_head_says_for_which_site_and_what_it_would_be_without(manifest):
    told = {
        "method": "ComBat",
        "sites": ["A", "B"],
        "covariates": ["sex"],
        "without": {"value": 7.5, "head_is_better": True},
        "confounding": {"metric": "correlation", "value": 0.71, "strong": True},
    }
    pooled = {"value": 7.7, "interval": [6.0, 9.5], "baseline": 7.0, "baseline_name": "b"}
    worse = {"value": 9.1, "head_is_better": False, "difference_interval": [0.1, 2.0]}
    own = {"own_scans": {"sites": [], "pooled": pooled}, "without": worse}
    text = card(of_sites(manifest, left_out=own, harmonised={**told, "site": "B"}))
    assert "harmonised by ComBat for scans of site B: for another site neither its values" in text
    assert "heads reach MAE 7.5 years in the cross-validation: harmonising is better." in text
    assert "At sites left out they reach 9.1 years: harmonising the others is worse." in text
    assert "unlabelled scans of its own, it would be MAE 7.7 years (6 to 9.5) over all" in text
    assert "The site alone tells the label with correlation 0.71: what is taken" in text
    assert "each left out once, its scans as they come:" in text
    text = card(of_sites(manifest, harmonised={**told, "site": None}))
    assert "answers scans as they come, harmonised to none of them" in text
    text = card(of_sites(manifest, harmonised=told))
    assert "harmonised by ComBat over A, B, sex kept." in text
