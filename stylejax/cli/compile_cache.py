"""Compiled programs are kept on disk, so that the next start need not wait for them.

They lie in `compiled` beside the fetched weights (see `stylejax.pretrained.cache`), in
a folder for each kind of processor: a program compiled for one need not run on another.
The oldest go when they take more than `MAX_BYTES`.
"""

import functools
import hashlib
import os
import platform
from pathlib import Path

SWITCH = "STYLEJAX_COMPILE_CACHE"
"""Environment variable: "off" keeps nothing on disk."""

MAX_BYTES = 2**30
LEAST_SECONDS = 0.3  # of compilation, from which a program is worth its file


def enable() -> Path | None:
    """Keeps compiled programs from now on, unless somebody has decided otherwise.

    A folder that JAX was given already (`JAX_COMPILATION_CACHE_DIR`) stays, as does
    `JAX_ENABLE_COMPILATION_CACHE=false`. Where nothing can be written, nothing is kept.

    Returns:
        The folder; None where this changed nothing.
    """
    if os.environ.get(SWITCH, "").lower() in {"off", "0", "false", "no"}:
        return None
    import jax

    if jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        return None
    try:
        path = folder()
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    if not os.access(path, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    jax.config.update("jax_compilation_cache_dir", str(path))
    return path


def folder() -> Path:
    """Where compiled programs lie; it need not exist yet.

    Returns:
        The path.
    """
    from stylejax.pretrained import cache

    return cache.folder().parent / "compiled" / _processor()


@functools.cache
def _processor() -> str:
    """A name for what the processor can do."""
    features = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        kinds = ("model name", "flags", "Features")
        features += "".join(sorted({x for x in lines if x.startswith(kinds)}))
    except OSError:  # no Linux
        pass
    digest = hashlib.sha256(features.encode()).hexdigest()[:12]
    return f"{platform.machine()}-{digest}"
