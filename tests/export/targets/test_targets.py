"""The target table."""

from __future__ import annotations

from export.targets import OPTIONS, TARGETS, help_of, writer
from runtime.engines.cache import key
from runtime.engines.trt.bindings import LIBRARIES


def test_the_table_knows_every_library_and_suffix():
    engines = {target.name: target for target in TARGETS if target.where == "engine cache"}
    assert engines.keys() == LIBRARIES.keys() == key.SUFFIXES.keys()
    for name, target in engines.items():
        assert target.file == key.SUFFIXES[name]
        assert f"fmtool[{LIBRARIES[name].extra}]" in target.needs


def test_help_names_the_options_that_take_another_along():
    assert help_of("--target").endswith("[--fp16, --tensorrt, --rtx]")
    assert help_of("--engines").endswith("[--fp16, --tensorrt, --rtx]")
    assert help_of("--batch") == OPTIONS["--batch"]  # also without any of them


def test_every_option_of_a_target_is_explained_and_taken():
    taken = {option for target in TARGETS for option in target.options}
    assert OPTIONS.keys() == taken - {target.option for target in TARGETS}


def test_what_is_written_to_a_folder_has_a_module_that_writes_it():
    for target in TARGETS:
        if target.where == "DIR":
            assert callable(writer(target).claim)
            assert callable(writer(target).write)
