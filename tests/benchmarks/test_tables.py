"""Tables of the docs that are made by the code."""

import pytest

from benchmarks.tables import DOCS, replaced
from export import targets
from runtime.engines import table


def test_a_table_is_exchanged_and_the_text_around_it_stays():
    page = "before\n\n| a | b |\n|---|---|\n| old | 1 |\n\nafter\n"
    made = "| a | b |\n|---|---|\n| new | 2 |\n| new | 3 |\n"
    assert replaced(page, made) == f"before\n\n{made}\nafter\n"
    with pytest.raises(ValueError, match="is not in list"):
        replaced(page, "| c |\n|---|\n")


@pytest.mark.parametrize(
    ("page", "made"), [("running.md", table.markdown()), ("export.md", targets.table())]
)
def test_the_pages_hold_the_tables_of_today(page, made):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert replaced(text, made) == text
