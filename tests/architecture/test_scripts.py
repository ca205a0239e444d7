"""The scripts of ``bin``: plain shell, and the two small programs that find packages on a strange machine."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.architecture.source_files import ROOT

SCRIPTS = ("bin/compat", "bin/dev", "bin/setup", "bin/soak", "bin/test", ".ci/run")


def program(name: str) -> ModuleType:
    """A program of ``bin``, loaded without running it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "bin" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [*SCRIPTS, "bin/_bootstrap.sh"])
def test_a_script_is_plain_shell(name: str) -> None:
    subprocess.run(["/bin/sh", "-n", ROOT / name], check=True)
    text = (ROOT / name).read_text()
    assert not [word for word in ("[[", "function ", "local ", "pipefail", "<<<", "source ") if word in text]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    assert (ROOT / name).read_text().startswith("#!/bin/sh\n# ")


def exported(home: Path, **environ: str) -> dict[str, str]:
    """What the settings program prints, as a mapping."""
    told = subprocess.run(
        [sys.executable, "-I", ROOT / "bin" / "_index_settings.py"],
        env={"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "none"), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (shlex.split(line)[1].partition("=")[::2] for line in told.stdout.splitlines())
    return dict(pairs)


def pip_file(home: Path, text: str) -> None:
    folder = home / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text(text)


def test_pips_settings_are_passed_on(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    pip_file(
        tmp_path,
        "[global]\nindex-url = https://mirror.example/simple\n"
        f"extra-index-url =\n    https://one.example/simple\n    file:///nowhere/at/all\n    file://{wheels}\n"
        f"[install]\nfind-links = {wheels} /nowhere\n",
    )
    told = exported(tmp_path)
    assert told["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert told["UV_INDEX"] == f"https://one.example/simple file://{wheels}"
    assert told["UV_FIND_LINKS"] == str(wheels)
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_a_variable_wins_over_a_file_and_one_of_uv_is_left_alone(tmp_path: Path) -> None:
    pip_file(tmp_path, "[global]\nindex-url = https://file.example/simple\n")
    told = exported(tmp_path, PIP_INDEX_URL="https://variable.example/simple")
    assert told["UV_DEFAULT_INDEX"] == "https://variable.example/simple"
    assert "UV_DEFAULT_INDEX" not in exported(tmp_path, UV_DEFAULT_INDEX="https://mine.example/simple")


def test_a_broken_file_breaks_nothing(tmp_path: Path) -> None:
    pip_file(tmp_path, "not a configuration\n")
    assert exported(tmp_path, PIP_TIMEOUT="60")["UV_HTTP_TIMEOUT"] == "60"


def test_no_file_is_read_when_pip_was_told_so(tmp_path: Path) -> None:
    pip_file(tmp_path, "[global]\nindex-url = https://file.example/simple\n")
    assert exported(tmp_path, PIP_CONFIG_FILE=os.devnull) == {}


def test_a_value_cannot_run_as_shell(tmp_path: Path) -> None:
    told = exported(tmp_path, PIP_INDEX_URL="https://x/$(touch /tmp/never)'; exit 1; '")
    assert told["UV_DEFAULT_INDEX"] == "https://x/$(touch /tmp/never)'; exit 1; '"


@pytest.mark.skipif(sys.platform != "linux", reason="the names below are those of Linux wheels")
def test_the_newest_fitting_wheel_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = program("_fetch_uv")
    monkeypatch.setattr(fetch.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(fetch.platform, "libc_ver", lambda: ("glibc", "2.36"))
    manylinux = "manylinux_2_17_x86_64.manylinux2014_x86_64"
    page = "".join(
        f'<a {extra} href="../../files/{name}#sha256={digest}">{name}</a>'
        for name, digest, extra in (
            (f"uv-0.9.9-py3-none-{manylinux}.whl", "aa", ""),
            (f"uv-0.13.2-py3-none-{manylinux}.whl", "bb", ""),
            ("uv-0.13.3-py3-none-musllinux_1_1_x86_64.whl", "cc", ""),
            ("uv-0.13.4-py3-none-manylinux_2_17_aarch64.whl", "dd", ""),
            (f"uv-0.13.5-py3-none-{manylinux}.whl", "ee", 'data-yanked=""'),
            ("uv-0.14.0.tar.gz", "ff", ""),
        )
    )
    address, digest = fetch.newest_wheel(page, "https://index.example/simple/uv/")
    assert address == f"https://index.example/files/uv-0.13.2-py3-none-{manylinux}.whl"
    assert digest == "bb"


def test_an_index_without_a_fitting_wheel_is_said_plainly() -> None:
    with pytest.raises(SystemExit, match=r"https://index.example/simple/uv/ has no uv for"):
        program("_fetch_uv").newest_wheel("<html></html>", "https://index.example/simple/uv/")
