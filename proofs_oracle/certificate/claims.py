"""What a function claims: which results are the gradients of which arguments, read from our programs and manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from netc.codegen.ir import Function
from netc.codegen.program import Program
from netc.netspec.errors import UserError
from netc.netspec.recipe import Adam, Optimizer, Sgd
from netc.proofs_oracle.certificate.reading import read
from netc.proofs_oracle.certificate.run import Claim, Gradient

Places = Mapping[str, int]


def _fraction(value: float, exact: bool) -> Fraction:
    return read(value, "f32", exact).fraction


def _by_first_moment(o: Adam, name: str, decay: bool, of: Places, results: Places, exact: bool) -> Gradient:
    """m_new = (1 - beta1) g for m = 0; coupled decay adds to g."""
    coupled = _fraction(o.weight_decay, exact) if decay and not o.decoupled else Fraction(0)
    return Gradient(of[name], results[f"m/{name}"], factor=1 / _fraction(1 - o.beta1, exact), decay=coupled)


def _by_velocity_or_step(o: Sgd, name: str, decay: bool, of: Places, results: Places, exact: bool) -> Gradient:
    """velocity_new = g for velocity = 0; without momentum g = (p - p_new) / lr. Decay adds to g."""
    rate = _fraction(o.weight_decay, exact) if decay else Fraction(0)
    if o.momentum:
        return Gradient(of[name], results[f"velocity/{name}"], decay=rate)
    return Gradient(of[name], results[name], less=of[name], factor=Fraction(-1), over=of["lr"], decay=rate)


READERS: dict[type[Optimizer], Callable[..., Gradient]] = {Adam: _by_first_moment, Sgd: _by_velocity_or_step}


def claim_of_program(program: Program, exact: bool) -> Claim:
    """Of `train_step`: every parameter's gradient, as its update contains it."""
    step = program.module.function("train_step")
    of, results = places(step.names), places(step.result_names)
    optimizer = program.recipe.optimizer
    reader = READERS[type(optimizer)]
    gradients = tuple(
        reader(optimizer, p.name, p.decay or program.recipe.decay_all, of, results, exact) for p in program.net.params
    )
    moments = tuple(of[s.name] for s in program.state if s.role == "moment")
    return Claim(((results["loss"], None),), gradients, moments)


def claim_of_part(program: Program) -> Claim:
    """Of `micro_step`: what it adds to the sum of a gradient is the gradient of what it adds to the loss."""
    part = program.module.function("micro_step")
    of, results = places(part.names), places(part.result_names)
    gradients = tuple(
        Gradient(of[p.name], results[f"gradient/{p.name}"], less=of[f"gradient/{p.name}"]) for p in program.net.params
    )
    return Claim(((results["loss"], None),), gradients)


def claim_of_layer(function: Function) -> Claim:
    """Of a rule's `vjp`: y with the cotangent dy, and d<name> for each float argument <name>."""
    of, results = places(function.names), places(function.result_names)
    floats = [n for n, v in zip(function.names, function.params, strict=True) if v.type.dtype in ("f32", "f64", "bf16")]
    gradients = tuple(Gradient(of[n], results[f"d{n}"]) for n in floats if f"d{n}" in results)
    return Claim(((results["y"], of["dy"]),), gradients)


def claim_of_loss(function: Function) -> Claim:
    """Of a loss: the mean loss, and its gradient with respect to the output."""
    of, results = places(function.names), places(function.result_names)
    return Claim(((results["loss"], None),), (Gradient(of["output"], results["doutput"]),))


def claim_of_manifest(manifest: Mapping[str, Any], name: str) -> Claim:
    """Of a text beside our manifest: gradients up to one factor, in the first moments or in the new parameters."""
    try:
        entry = manifest["functions"][name]
        arguments, results = ([str(e["name"]) for e in entry[side]] for side in ("arguments", "results"))
        roles = {str(e["name"]): e.get("role") for e in entry["arguments"]}
    except (KeyError, TypeError) as error:
        raise UserError(f"--manifest wants one that netc wrote, with the function {name}, got no {error}") from error
    of, at = places(arguments), places(results)
    names = [n for n in arguments if roles[n] == "parameter"]
    if not names:
        raise UserError(f"--manifest wants arguments of {name} whose role is parameter, got none")
    moments = [n for n in arguments if roles[n] == "moment"]
    first = next((kind for kind in ("m", "velocity") if f"{kind}/{names[0]}" in of), None)
    returned = [f"{first}/{n}" if first else n for n in names]
    missing = [n for n in returned if n not in at]
    if missing:
        raise UserError(f"--manifest wants a result of {name} called {missing[0]}, got {', '.join(results)}")
    gradients = (
        [Gradient(of[n], at[f"{first}/{n}"]) for n in names]
        if first
        else [Gradient(of[n], at[n], less=of[n], over=of.get("lr")) for n in names]  # a rate in the text is a factor
    )
    outputs = ((at["loss"], None),) if "loss" in at else ()
    return Claim(outputs, tuple(gradients), tuple(of[n] for n in moments))


def claim_of_words(function: Function, loss: str, wrt: Sequence[str], scale: Fraction) -> Claim:
    """Of anybody's text: `loss` is a result, each of `wrt` is ARGUMENT=RESULT; numbers, or names of arguments."""
    results = {str(i): i for i in range(len(function.results))}
    arguments = {**places(function.names), **{str(i): i for i in range(len(function.params))}}
    gradients = []
    for pair in wrt:
        argument, separator, result = pair.partition("=")
        if not separator or argument not in arguments or result not in results:
            raise UserError(
                f"--wrt wants ARGUMENT=RESULT with an argument from 0 to {len(function.params) - 1} or its name and a "
                f"result from 0 to {len(results) - 1}, got {pair!r}; write for example --wrt 0=1"
            )
        gradients.append(Gradient(arguments[argument], results[result], factor=1 / scale))
    if not gradients:
        raise UserError("wants --manifest FILE.json, or --wrt ARGUMENT=RESULT once for each gradient, got neither")
    for g in gradients:
        if function.params[g.of].type != function.results[g.result].type:
            raise UserError(
                f"--wrt: a gradient has its argument's type; argument {g.of} is {function.params[g.of].type}, "
                f"result {g.result} is {function.results[g.result].type}"
            )
    if loss not in results or function.results[results[loss]].shape:
        raise UserError(f"--loss wants the number of a scalar result below {len(results)}, got {loss!r}")
    return Claim(((results[loss], None),), tuple(gradients))


def places(names: Sequence[str]) -> dict[str, int]:
    """The index of each name."""
    return {name: index for index, name in enumerate(names)}
