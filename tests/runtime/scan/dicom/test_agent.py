"""What names say of a contrast agent."""

from __future__ import annotations

import pytest

from runtime.scan.dicom.agent import named

GIVEN = [
    "t1_mprage_post", "t1 post", "post ax t1", "t1 +c", "t1+c", "t1 c+", "ax t1 c+ fs", "t1 (c+)",
    "t1_gad", "+gad", "t1 +gad", "gd", "t1 gd", "t1 +gd", "iv+", "t1 iv+", "+iv", "t1 km",
    "t1_mprage_km", "nach km", "mit km", "t1 mdc", "con mdc", "dopo mdc", "t1 inj", "t1 injecte",
    "post inj", "t1 gadavist", "dotarem", "t1ce", "t1_ce", "t1c", "t1 with contrast",
    "t1 w contrast", "t1 w/ contrast", "t1 w/c", "t1 w/gad", "contrast", "c/c",
    "t1 com contraste", "t1 con contraste", "t1 mit kontrastmittel", "t1 post-op gd",
    "t1 post-gd", "postgd", "postcontrast", "t1-post-contrast", "t1 contrast-enhanced",
    "t1 mprage ce", "t1 postgado", "t1 sag post 2", "post_contrast", "t1_tfe_gd", "t1 multihance",
    "ax t1 post gad fs", "iv contrast", "t1 mprage+c", "3d t1 km tra", "t1 i.v. contrast",
    "t1 post mdc", "t1 gado+", "t1 post-km", "t1 mprage iso pc contrast",
]  # fmt: skip
NOT_GIVEN = [
    "t1_mprage without contrast", "t1 pre", "t1 non-contrast", "pre", "t1_pre_contrast",
    "precontrast", "t1 w/o contrast", "t1 wo", "t1 w/o", "t1 no gad", "ohne km",
    "t1 ohne kontrast", "sans injection", "sans inj", "senza mdc", "t1 nativ", "sin contraste",
    "sem contraste", "s/c", "t1 c-", "t1 iv-", "t1 noncontrast", "unenhanced", "t1 non contrast",
    "no contrast", "t1 non-enhanced", "t1 pre gd", "t1 pre-gad", "t1 km-", "vor km",
    "avant injection", "t1 wo gd", "t1_mprage_sag_wo_contrast", "t1 without", "nativ km",
]  # fmt: skip
SAYS_NOTHING = [
    "t1", "t1 post-op", "t1 postop", "post op", "t1 posterior fossa", "t1_mprage_sag",
    "w wo contrast", "mri brain w wo contrast", "w/wo contrast", "w & w/o contrast",
    "with and without contrast", "without and with contrast", "t1 wwo", "mit und ohne km",
    "avec et sans injection", "con e senza mdc", "con y sin contraste", "com e sem contraste",
    "c+/-", "+/- c", "pre/post", "pre and post", "pre post", "phase contrast", "t1 post surgery",
    "t1 pre-op", "preop", "t1 prescan normalize", "t1 c-spine", "t1 cor", "t1_se_cor",
    "t1 post treatment", "t1 post-rt", "t1 post 3 months", "t1 mprage iso cor", "high contrast",
    "t1 kontrolle", "mprage ge", "t1 nose", "t1 gre", "t1 sag norm", "t1 c", "t1 w and wo gad",
    "pre & post gad", "ax t1 mpr", "t1 m", "controle", "t1 non fs", "t1 no fs", "gated t1", "iv",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "given"),
    [(n, True) for n in GIVEN]
    + [(n, False) for n in NOT_GIVEN]
    + [(n, None) for n in SAYS_NOTHING],
)
def test_a_name_says_that_an_agent_was_given_or_not_or_nothing(name, given):
    assert named(name) is given
    assert named(name.replace(" ", "_")) is given
    assert named(f"sag {name}") is given
