"""Style transfer and image translation in JAX, with explanations of what was done.

Only the names a user types live here. They are imported at first use, so that
`import stylejax` costs next to nothing and starts no device.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

__all__ = ["StyleControl", "__version__", "fit", "load", "stylize"]

# Public name -> (module, attribute); an attribute of None is the module itself.
_LAZY: dict[str, tuple[str, str | None]] = {
    "StyleControl": ("stylejax.methods.control", "StyleControl"),
    "Translator": ("stylejax.api", "Translator"),
    "explain": ("stylejax.explain", None),
    "fit": ("stylejax.training", "fit"),
    "load": ("stylejax.api", "load"),
    "stylize": ("stylejax.stylization", "stylize"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
