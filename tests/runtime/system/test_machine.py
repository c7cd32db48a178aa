"""Instructions, from what Linux lists."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fmtool.errors import CapabilityError, UsageError
from runtime.system import machine


@pytest.mark.parametrize(
    ("flags", "there"),
    [
        ("fpu avx2 avx512f avx512_vnni avx512_bf16", {"AVX2", "AVX-512", "VNNI", "bfloat16"}),
        ("fpu avx2 avx_vnni", {"AVX2", "VNNI"}),
        ("avx2 avx512f amx_tile amx_bf16", {"AVX2", "AVX-512", "AMX", "bfloat16"}),
        ("fpu sse2", set()),
    ],
)
def test_flags(tmp_path, monkeypatch, flags, there):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: X\nflags\t\t: {flags}\n\nprocessor : 1\n")
    monkeypatch.setattr(machine, "_CPUINFO", file)
    found = machine.instructions()
    assert {name for name, has in found.items() if has} == there
    assert set(found) == {"AVX2", "AVX-512", "bfloat16", "VNNI", "AMX"}


ORIN = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
GRACE = f"{ORIN} asimddp sve asimdfhm sve2 sveaes svei8mm svebf16 i8mm bf16"


@pytest.mark.parametrize(
    ("features", "there"),
    [
        (ORIN, {"NEON"}),
        (GRACE, {"NEON", "SVE", "bfloat16", "i8mm"}),
        ("fp asimd svebf16 svei8mm sve2", {"NEON"}),  # no word is taken for a part of another
        ("half thumb fastmult vfp edsp neon", set()),  # 32 bits: none of ours
    ],
)
def test_features_of_arm(tmp_path, monkeypatch, features, there):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nBogoMIPS\t: 62.50\nFeatures\t: {features}\n\n")
    monkeypatch.setattr(machine, "_CPUINFO", file)
    found = machine.instructions()
    assert {name for name, has in found.items() if has} == there
    assert set(found) == {"NEON", "SVE", "bfloat16", "i8mm"}
    machine.require()


NEHALEM = "fpu sse sse2 pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
LOADED = """
import os, pathlib, sys
from runtime.system import machine

class Dies:
    def find_spec(self, name, path=None, target=None):
        if name in ("numpy", "scipy", "openvino", "onnxruntime"):
            os._exit(132)

sys.meta_path.insert(0, Dies())
machine._CPUINFO = pathlib.Path(sys.argv.pop(1))
from fmtool.cli import main
main()
"""


def cpuinfo(folder, flags):
    file = folder / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: Old One\nflags\t\t: {flags}\n")
    return file


@pytest.mark.parametrize(
    ("flags", "lacks"),
    [
        (NEHALEM, ""),
        (f"{NEHALEM} avx avx2", ""),
        ("fpu sse sse2 pni ssse3 cx16 sse4_1 lahf_lm", "SSE4.2, POPCNT"),  # Core 2, Penryn
        ("fpu sse sse2 pni cx16 hypervisor", "SSSE3, SSE4.1, SSE4.2, POPCNT, LAHF-SAHF"),  # kvm64
    ],
)
def test_a_processor_that_libraries_die_on_is_refused(tmp_path, monkeypatch, flags, lacks):
    monkeypatch.setattr(machine, "_CPUINFO", cpuinfo(tmp_path, flags))
    if not lacks:
        machine.require()
        return
    with pytest.raises(CapabilityError, match=rf"\(Old One\) has no {lacks}, without"):
        machine.require()


@pytest.mark.parametrize("command", [("doctor",), ("predict", "absent.nii.gz")])
def test_what_would_die_is_not_even_loaded(tmp_path, command):
    old = cpuinfo(tmp_path, "fpu sse sse2 pni ssse3")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, old, *command], capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: this processor (Old One) has no SSE4.1, SSE4.2, POPCNT,")
    assert done.stderr.count("\n") == 1


def test_another_system_lists_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "absent")
    assert machine.instructions() == {}


@pytest.fixture
def limited(monkeypatch):
    """Eight cores, no quota, nothing said; `limited(quotas)` sets a quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda who: set(range(8)), raising=False)
    for name in machine.THREADS:
        monkeypatch.setenv(name, "")  # so that what is set is undone

    def limit(quotas):
        monkeypatch.setattr(machine.cgroups, "quotas", lambda: quotas)

    limit([])
    return limit


@pytest.mark.parametrize(
    ("quotas", "said", "cores"),
    [
        ([], "", 8),
        ([64.0], "", 8),
        ([1.5], "", 2),
        ([0.1], "", 1),
        ([4.0, 2.0], "", 2),
        ([], "3", 3),
        ([], "16", 8),
        ([2.0], "4", 2),
        ([], "4,2", 4),
        ([], "0", 8),
        ([], "-1", 8),
        ([], "many", 8),
    ],
)
def test_the_cores_are_the_least_that_anything_allows(limited, monkeypatch, quotas, said, cores):
    limited(quotas)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert machine.cores() == cores


def test_libraries_and_children_are_told_of_a_quota(limited):
    machine.confine()
    assert os.environ["OMP_NUM_THREADS"] == ""
    limited([2.5])
    machine.confine()
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_threads_that_are_asked_for_count_over_the_environments(limited, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    machine.confine(4)
    assert machine.cores() == 4
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"
    limited([2.0])
    with pytest.raises(UsageError, match="2 at most"):
        machine.confine(3)


def test_memory_is_the_machines_where_a_group_may_hold_more(monkeypatch):
    monkeypatch.setattr(machine.cgroups, "memory", lambda: [1 << 60])
    whole = machine.memory()
    monkeypatch.setattr(machine.cgroups, "memory", lambda: [1 << 60, 1 << 30])
    assert machine.memory() == 1 << 30 < whole
    monkeypatch.setattr(machine.cgroups, "free_memory", lambda: [4096])
    assert machine.free_memory() == 4096


COUNT = """
import os
from runtime.system import machine
{before}
import onnxruntime
from fmtool import bundle
from runtime import doctor
from runtime.batch import resources
from runtime.engines.onnxruntime.providers import settings
from runtime.engines.openvino.core import compile_for_cpu
print(machine.cores(), doctor.examine()["cores"], resources.workers(9))
print(settings(onnxruntime).intra_op_num_threads)
with bundle.open() as demo:
    compiled = compile_for_cpu(demo.model(), {{"PERFORMANCE_HINT": "LATENCY"}})
print(compiled.get_property("INFERENCE_NUM_THREADS"))
"""


@pytest.mark.parametrize("how", ["OMP_NUM_THREADS", "--threads", "taskset"])
def test_engines_workers_and_doctor_count_the_same(how):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core is all there is")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    core = min(os.sched_getaffinity(0))
    before = {
        "OMP_NUM_THREADS": "",
        "--threads": "machine.confine(1)",
        "taskset": f"os.sched_setaffinity(0, {{{core}}})",
    }[how]
    environment = {k: v for k, v in os.environ.items() if k not in machine.THREADS}
    if how == "OMP_NUM_THREADS":
        environment[how] = "1"
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(before=before)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"1"}
