"""The pages in a real browser: no complaint, no request, keys that work, nothing wider than it."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmtool import NOTICE
from runtime import report
from runtime.attribution import Attribution, placed
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.report.page import index
from runtime.report.pictures import pictures

WIDTHS = (1280, 390)
RESULT: dict[str, Any] = {
    "scan": "a-rather-long-name_with_parts_sub-0001_ses-01_acq-mprage_run-01_T1w.nii.gz",
    "values": {
        "age": {
            "value": 34.23,
            "unit": "years",
            "kind": "regression",
            "class": None,
            "classes": None,
            "interval": {"low": 20.0, "high": 50.0, "level": 0.9},
            "corrected": 36.1,
            "novelty_p": 0.4,
            "evidence": {"metric": "MAE", "unit": "years", "value": 7.2, "label_range": [19, 46]},
            "warnings": ["A sentence that must be seen beside the value, and is not short."],
        },
        "sex": {
            "value": 0.13,
            "unit": "probability",
            "kind": "binary",
            "class": "F",
            "classes": ["F", "M"],
            "prediction_set": ["F"],
            "prediction_set_level": 0.9,
            "evidence": {"metric": "AUC", "value": 0.95, "beats_baseline": True},
            "warnings": [],
        },
    },
    "quality": [
        {
            "name": "Brain volume",
            "value": 853.0,
            "unit": "mL",
            "range": [900.0, 2000.0],
            "verdict": "warn",
            "sentence": "The brain is small.",
        }
    ],
    "novelty_p": 0.4,
    "warnings": ["The brain is small."],
    "facts": {"shape": [160, 192, 192], "spacing": [1.0, 1.33, 1.33]},
    "timings": {"read": 0.2, "network": 3.5, "total": 3.7},
    "bundle": {"name": "demo", "digest": "ab" * 32, "demonstration": True, "limits": ["Adults."]},
    "engine": "openvino 2026.4, cpu, bfloat16",
    "version": "0.1.0",
    "notice": NOTICE,
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    template = Template.load()
    prepared = Prepared(
        template.crop, template.crop > 0, np.eye(4), template.array, template.mask, template.affine
    )
    rng = np.random.default_rng(0)
    affine = placed((10, 12, 12), None)
    maps = {
        task: Attribution(rng.normal(size=(10, 12, 12)).astype(np.float32), 0.0, None, affine)
        for task in ("age", "sex")
    }
    files = pictures.of_scan(prepared, template) | pictures.of_maps(maps, prepared, template)
    path = tmp_path_factory.mktemp("page") / "page.html"
    report.write_html(path, RESULT, files)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pages = {}
    for name, age, verdict in (("b", 9.0, "ok"), ("a", 40.0, "warn"), ("c", 100.0, "ok")):
        one = copy.deepcopy(RESULT)
        one["values"]["age"]["value"] = age
        one["quality"][0]["verdict"] = verdict
        pages[name] = one | {"scan": f"{name}.nii.gz"}
    path = tmp_path_factory.mktemp("index") / "index.html"
    reason = f"/somewhere/else/{'very-' * 12}long/d.nii does not exist; check the path"
    path.write_text(index.html(pages, [{"scan": "d.nii", "error": reason}]), "utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_open_quietly_and_fit(browser, page, table, width, dark, tmp_path) -> None:
    for file in (page, table):
        browser.open(file, width, dark)
        assert browser.run("document.documentElement.scrollWidth") <= width
        beyond = (
            "[...document.querySelectorAll('section')].filter(s => [...s.querySelectorAll('*')]"
        )
        beyond += ".some(e => e.offsetWidth && e.getBoundingClientRect().right > 1 +"
        beyond += " s.getBoundingClientRect().right)).length"
        assert browser.run(beyond) == 0
        small = "[...document.querySelectorAll('main *')].filter(e => e.textContent.trim() &&"
        small += " !e.closest('svg') && parseFloat(getComputedStyle(e).fontSize) < 12).length"
        assert browser.run(small) == 0
        browser.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert browser.complaints() == []
        assert browser.requests() == [file.as_uri()]


def test_the_page_is_small(page) -> None:
    assert page.stat().st_size < 3e6


def test_every_picture_is_decoded(browser, page) -> None:
    browser.open(page)
    assert browser.run("document.images.length") == 12
    assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 100)")
    sheets = "[...document.querySelectorAll('.view i')].map(i => i.style.backgroundImage.length)"
    assert min(browser.run(sheets)) > 500


def test_slices_are_browsed_with_keys(browser, page) -> None:
    browser.open(page)
    says = "document.querySelectorAll('.control output')[0].textContent"
    at = "document.querySelectorAll('.view i')[0].style.backgroundPosition"
    browser.run("document.querySelectorAll('.control input')[0].focus()")
    before = browser.run(f"[{says}, {at}].join()")
    browser.press("ArrowRight")
    after = browser.run(f"[{says}, {at}].join()")
    assert after != before
    assert re.match(r"z = -?\d+ mm", browser.run(says))
    browser.press("ArrowLeft")
    assert browser.run(f"[{says}, {at}].join()") == before
    browser.press("Home")
    assert browser.run("document.querySelectorAll('.control input')[0].value") == "0"
    spoken = browser.run(
        "document.querySelectorAll('.control input')[0].getAttribute('aria-valuetext')"
    )
    assert spoken == browser.run(says)
    assert browser.complaints() == []


def test_a_click_brings_the_other_planes_there(browser, page) -> None:
    browser.open(page)
    browser.run(
        "(() => {const b = document.querySelector('.view').getBoundingClientRect();"
        "document.querySelector('.view').dispatchEvent(new MouseEvent('click',"
        "{clientX: b.left + b.width * 0.25, clientY: b.top + b.height * 0.75, bubbles: true}))})()"
    )
    said = browser.run("[...document.querySelectorAll('.control output')].map(o => o.textContent)")
    x, y = (int(said[i].split()[2]) for i in (2, 1))
    # A quarter from the left of 192 mm is 48 mm to the patient's right; below is the back.
    assert x == pytest.approx(48, abs=2)
    assert y == pytest.approx(-17 - 48, abs=2)


def test_one_layer_is_shown_at_a_time(browser, page) -> None:
    browser.open(page)
    shown = "[...document.querySelectorAll('.view i[data-layer]')].filter(i => !i.hidden)"
    assert browser.run(f"{shown}.map(i => i.dataset.layer)") == ["mask"] * 3
    browser.run("document.querySelector('input[value=\"map age\"]').click()")
    assert browser.run(f"{shown}.map(i => i.dataset.layer)") == ["map age"] * 3
    assert browser.run("document.querySelector('#slices .ramp').offsetHeight") > 10


def test_without_scripts_the_viewer_is_absent_and_the_planes_are_there(browser, page) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.getElementById('slices').offsetHeight") == 0
    assert browser.run("document.images.length") == 12


def test_a_script_that_is_not_the_pages_does_not_run(browser, page, tmp_path) -> None:
    other = tmp_path / "other.html"
    text = page.read_text(encoding="utf-8").replace("</main>", "<script>leaked = 1</script></main>")
    other.write_text(text, encoding="utf-8")
    browser.open(other)
    assert browser.run("typeof leaked") == "undefined"
    assert any("Content Security Policy" in said for said in browser.complaints())


def test_it_prints(browser, page) -> None:
    browser.open(page)
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    pages = max(int(n) for n in re.findall(rb"/Count (\d+)", printed))
    assert 2 <= pages <= 8


def order(browser) -> list[str]:
    return list(
        browser.run(
            "[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden)"
            ".map(r => r.cells[0].textContent[0])"
        )
    )


def test_the_index_sorts_by_number_and_keeps_what_is_unknown_last(browser, table) -> None:
    browser.open(table)
    assert order(browser) == ["b", "a", "c", "d"]
    browser.run("document.querySelectorAll('th button')[1].click()")
    assert order(browser) == ["b", "a", "c", "d"]
    assert (
        browser.run("document.querySelectorAll('th')[1].getAttribute('aria-sort')") == "ascending"
    )
    browser.run("document.querySelectorAll('th button')[1].click()")
    assert order(browser) == ["c", "a", "b", "d"]
    browser.run("document.querySelectorAll('th button')[0].click()")
    assert order(browser) == ["a", "b", "c", "d"]
    browser.run(
        "(() => {const o = document.getElementById('order'); o.value = '0d';"
        "o.dispatchEvent(new Event('change'))})()"
    )
    assert order(browser) == ["d", "c", "b", "a"]


def test_the_index_filters_by_text_and_verdict(browser, table) -> None:
    browser.open(table)
    browser.run(
        "(() => {const f = document.getElementById('find'); f.value = '40.0';"
        "f.dispatchEvent(new Event('input'))})()"
    )
    assert order(browser) == ["a"]
    assert browser.run("document.getElementById('count').textContent") == "1 of 4 scans"
    browser.run(
        "(() => {document.getElementById('find').value = '';"
        "const v = document.getElementById('verdict'); v.value = 'failed';"
        "v.dispatchEvent(new Event('change'))})()"
    )
    assert order(browser) == ["d"]
