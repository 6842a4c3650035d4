"""Is the machine described by facts, and told from another by their hash?"""

from __future__ import annotations

from pathlib import Path

from pytest_netbench.result.environment import environment, environment_hash, versions


def test_facts_are_read_from_the_system(tmp_path: Path) -> None:
    """Processor, governor and settings come from the kernel's files; a missing one is left out."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nmodel name : Fast 1\n\nprocessor : 1\nmodel name : Fast 2\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:   16 kB\n")
    governor = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    governor.mkdir(parents=True)
    (governor / "scaling_governor").write_text("performance\n")
    facts = environment(tmp_path)
    assert (facts["cpu_model"], facts["memory"], facts["governor"]) == ("Fast 1", 16384, "performance")
    assert "default_qdisc" not in facts


def test_a_processor_without_a_name_is_told_by_its_numbers(tmp_path: Path) -> None:
    """ARM kernels give implementer and part."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n")
    assert environment(tmp_path)["cpu_model"] == "ARM implementer 0x41 part 0xd0c"


def test_this_machine_has_kernel_cores_python_and_hash() -> None:
    """What is known everywhere is there."""
    facts = environment()
    assert {"kernel", "cores", "python", "hash", "machine"} <= set(facts)
    assert facts["hash"] == environment_hash(facts)


def test_the_hash_tells_environments_apart() -> None:
    """Equal facts in any order have one hash; a changed fact has another."""
    assert environment_hash({"a": 1, "b": 2}) == environment_hash({"b": 2, "a": 1, "hash": "x"})
    assert environment_hash({"a": 1}) != environment_hash({"a": 2})


def test_versions_of_what_is_installed() -> None:
    """Installed distributions have their version, others are left out."""
    found = versions(("pytest", "no-such-distribution-at-all"))
    assert list(found) == ["pytest"]
