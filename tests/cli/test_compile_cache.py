"""Compiled programs are kept between processes, unless somebody decided otherwise."""

import os
import subprocess
import sys

import jax
import pytest

from stylejax.cli import compile_cache

PROGRAM = """
import jax
from stylejax.cli import compile_cache
print(compile_cache.enable())
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
jax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((8, 8))).block_until_ready()
print(sum(name.endswith("cache_hits") for name in hits))
"""


def run(tmp_path, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment = kept | {"STYLEJAX_CACHE": str(tmp_path)} | environment
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_the_next_process_finds_what_this_one_compiled(tmp_path):
    where, hits = run(tmp_path)
    assert where.startswith(str(tmp_path / "compiled")) and hits == "0"
    assert any((tmp_path / "compiled").rglob("*-cache"))
    assert int(run(tmp_path)[1]) > 0


@pytest.mark.parametrize(
    "environment",
    [{compile_cache.SWITCH: "off"}, {"JAX_COMPILATION_CACHE_DIR": "elsewhere"}],
)
def test_who_decided_otherwise_is_heard(tmp_path, environment, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, **environment)[0] == "None"
    assert not (tmp_path / "compiled").exists()


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert run(tmp_path, STYLEJAX_CACHE=str(tmp_path / "file")) == ["None", "0"]


def test_the_folder_given_to_jax_stays():
    before = jax.config.jax_compilation_cache_dir
    assert before  # the tests' own
    assert compile_cache.enable() is None
    assert jax.config.jax_compilation_cache_dir == before


def test_each_kind_of_processor_has_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("STYLEJAX_CACHE", str(tmp_path))
    here = compile_cache.folder()
    assert here.parent == tmp_path / "compiled"
    monkeypatch.setattr(compile_cache, "_processor", lambda: "another")
    assert compile_cache.folder() == tmp_path / "compiled" / "another"
