"""`fmtool bundle robustness`: what was measured stands in the card; a mistake is one sentence."""

import json
import shutil

from fmtool import bundle


def test_from_a_summary_to_the_card(fmtool, tmp_path):
    folder, summary = tmp_path / "mine.fmtool", tmp_path / "robustness.json"
    shutil.copytree(bundle.DEMO, folder)
    row = {"name": "turned", "judged": True, "heads": 3, "refused": 0, "embedding": None}
    found = {
        "format": 1,
        "bundle": {"name": "demo", "digest": bundle.open(folder).digest},
        "engine": "an engine",
        "heads": 3,
        "sets": ["raw"],
        "errors": {"age": {"error": 7.5, "unit": "years"}},
        "values": {"age": {"q1": 30.0, "q3": 45.0}},
        "perturbations": [{**row, "outputs": {"age": {"median": 0.4, "share": 0.05}}}],
    }
    summary.write_text(json.dumps(found), encoding="utf-8")
    done = fmtool("bundle", "robustness", summary, "--bundle", folder)
    assert done.returncode == 0, done.stderr
    assert bundle.open(folder).digest in done.stdout
    assert "0.4 years (turned" in fmtool("bundle", "show", folder).stdout

    again = fmtool("bundle", "robustness", summary, "--bundle", folder)
    assert again.returncode == 1
    assert "measure this one" in again.stderr
