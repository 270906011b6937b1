"""The templates of netc's pages. Wants jinja2."""

from __future__ import annotations

from importlib import resources
from typing import Any

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra


def environment(what: str) -> Any:
    """Where jinja2 finds the templates; `what` wants them. Raises UserError where jinja2 is missing.

    Every value is escaped: names of runs, nets and classes are a user's text.
    """
    try:
        import jinja2
    except ImportError as error:
        raise UserError(f"{what} wants jinja2, got none; {install_extra('report')}") from error
    loader = jinja2.FunctionLoader(lambda name: resources.files(__package__).joinpath(name).read_text("utf-8"))
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
