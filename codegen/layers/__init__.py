"""One file per family of layers: how each layer and its pullback are emitted. Importing it registers all rules."""

from importlib import import_module
from pkgutil import iter_modules

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
