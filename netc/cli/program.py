"""The program that a command's NET and options ask for, a Lean file's TrainConfig among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netc.cli.lean_config import say_stated
from netc.cli.options import given

if TYPE_CHECKING:
    from netc.programs import ProgramRequest


def program_request(net: str, batch: int) -> ProgramRequest:
    """The request of the command that runs; `batch` is its default. Raises UserError or SpecError."""
    from netc.programs import program_words, request_program

    stated = given()
    words = {name: stated[name] for name in program_words() & stated.keys()}
    return request_program(net, config=stated.get("config"), on_stated=say_stated, default_batch=batch, **words)
