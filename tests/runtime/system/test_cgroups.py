"""The limits of containers, jobs and units, in folders that look like the kernel's."""

from __future__ import annotations

import pytest

from runtime.system import cgroups

V2 = "30 23 0:26 {root} {fs} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 31 0:30 {root} {fs}/{kind} rw,relatime - cgroup cgroup rw,{kind}"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """`kernel(own, files, mounts)`: what the kernel would say of this process and its groups."""

    def say(own, files, mounts=()):
        (tmp_path / "cgroup").write_text(own)
        (tmp_path / "mountinfo").write_text("".join(f"{line}\n" for line in mounts))
        for name, text in files.items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(f"{text}\n")

    monkeypatch.setattr(cgroups, "_OWN", tmp_path / "cgroup")
    monkeypatch.setattr(cgroups, "_MOUNTS", tmp_path / "mountinfo")
    monkeypatch.setattr(cgroups, "_USUAL", tmp_path / "fs")
    return say


@pytest.mark.parametrize(
    ("own", "files", "least"),
    [
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/\n", {"memory.max": "1000"}, 1000),
        ("12:cpu:/x\n0::/slurm/7/step\n", {"slurm/7/memory.max": "3000"}, 3000),
        ("0::/a/b\n", {"a/memory.max": "3", "a/b/memory.max": "max", "memory.max": "4"}, 3),
        ("0::/../../up\n", {"memory.max": "5000"}, 5000),
        ("9:memory:/docker/1\n", {"memory/docker/1/memory.limit_in_bytes": "700"}, 700),
        ("9:cpu,memory:/a/b\n0::/\n", {"memory/a/memory.limit_in_bytes": "70"}, 70),
        ("", {}, None),
    ],
)
def test_memory_is_the_least_of_the_groups_around(kernel, own, files, least):
    kernel(own, files)
    assert min(cgroups.memory(), default=None) == least


@pytest.mark.parametrize(
    ("own", "files", "least"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "300000 100000"}, 0.5),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (
            "4:cpu,cpuacct:/job/1\n",
            {"cpu/job/cpu.cfs_quota_us": "250000", "cpu/job/cpu.cfs_period_us": "50000"},
            5.0,
        ),
    ],
)
def test_a_quota_is_the_least_of_the_groups_around(kernel, own, files, least):
    kernel(own, files)
    assert min(cgroups.quotas(), default=None) == least


def test_a_container_sees_its_own_group_as_the_root_of_what_is_mounted(kernel, tmp_path):
    mount = V1.format(root="/docker/1", fs=tmp_path / "elsewhere", kind="memory")
    kernel(
        "9:memory:/docker/1/inner\n",
        {
            "../elsewhere/memory/memory.limit_in_bytes": "900",
            "../elsewhere/memory/inner/memory.limit_in_bytes": "800",
        },
        ["1 0 0:1 / / rw - ext4 /dev/vda rw", mount],
    )
    assert sorted(cgroups.memory()) == [800, 900]


def test_version_2_may_be_mounted_beside_version_1(kernel, tmp_path):
    mounts = [V2.format(root="/", fs=tmp_path / "fs" / "unified")]
    kernel("4:cpu:/\n0::/unit\n", {"unified/unit/cpu.max": "100000 100000"}, mounts)
    assert cgroups.quotas() == [1.0]


def test_what_a_group_can_give_back_is_free(kernel):
    kernel(
        "9:memory:/j\n0::/u\n",
        {
            "u/memory.max": "1000",
            "u/memory.current": "700",
            "u/memory.stat": "anon 400\ninactive_file 200",
            "memory/j/memory.limit_in_bytes": "900",
            "memory/j/memory.usage_in_bytes": "300",
            "memory/j/memory.stat": "inactive_file 7\ntotal_inactive_file 100",
        },
    )
    assert sorted(cgroups.free_memory()) == [500, 700]
