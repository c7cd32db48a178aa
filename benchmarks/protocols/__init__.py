"""The paper's protocols (arXiv 2509.10620), one script each, on any labelled cohort.

`study` reads a cohort and plans folds, `systems` are what is compared, `scores` and `report` say
how well they did, `command` holds the options that all protocols share.
"""
