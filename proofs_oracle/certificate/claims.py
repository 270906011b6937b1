"""What a function claims: which results are the gradients of which arguments, read from our programs and manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.groups import trained_of
from netc.codegen.ir import Function
from netc.codegen.program import Program
from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate.run import Claim, Gradient
from netc.proofs_oracle.certificate.updates import Update, places, update_of, update_of_manifest

NO_LOSS = "none"  # the word for a text that returns none


def claim_of_program(program: Program, exact: bool) -> Claim:
    """Of `train_step`, its steps undone (updates.py): every parameter's gradient, as its update contains it."""
    update = update_of(program)
    moments = [s.name for s in program.state if s.role == "moment"]
    return Claim(((update.results["loss"], None),), update.gradients(exact), update.zero(moments))


def claim_of_part(program: Program) -> Claim:
    """Of `micro_step`: what it adds to the sum of a gradient is the gradient of what it adds to the loss."""
    part = program.module.function("micro_step")
    of, results = places(part.names), places(part.result_names)
    gradients = tuple(
        Gradient(of[p.name], results[f"gradient/{p.name}"], less=of[f"gradient/{p.name}"])
        for p in trained_of(program.net, program.recipe.groups)
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


def claim_of_manifest(manifest: Mapping[str, Any], function: Function, exact: bool) -> tuple[Claim, Update | None]:
    """Of a text beside our manifest, and the update by which its gradients are read, where it says it (updates.py).

    Without, gradients up to one factor, in the first moments or in the new parameters.
    """
    name = function.name
    try:
        entry = manifest["functions"][name]
        arguments, results = ([str(e["name"]) for e in entry[side]] for side in ("arguments", "results"))
        roles = {str(e["name"]): e.get("role") for e in entry["arguments"]}
    except KeyError as error:
        raise UserError(f"`manifest` wants one that netc wrote, with the function {name}, got no {error}") from error
    except (TypeError, AttributeError) as error:
        raise UserError(
            "`manifest` wants one that netc wrote, got JSON of another shape; give the file that emit-mlir wrote "
            "beside the text"
        ) from error
    of, at = places(arguments), places(results)
    got, wanted = (len(arguments), len(results)), (len(function.params), len(function.results))
    if got != wanted:
        raise UserError(
            f"`manifest` wants the {wanted[0]} arguments and {wanted[1]} results of {name}, got {got[0]} and {got[1]}; "
            "give the one that was written with this text"
        )
    names = [n for n in arguments if roles[n] == "parameter"]
    if not names:
        raise UserError(f"`manifest` wants arguments of {name} whose role is parameter, got none")
    moments = [n for n in arguments if roles[n] == "moment"]
    outputs = ((at["loss"], None),) if "loss" in at else ()
    update = update_of_manifest(manifest, arguments, results, names)
    if update is not None:
        return Claim(outputs, update.gradients(exact), update.zero(moments)), update
    first = next((kind for kind in ("m", "velocity") if f"{kind}/{names[0]}" in of), None)
    if moments and first is None:
        raise UserError(
            "certify wants the gradients in moments m or velocity, or in the step of an optimizer without moments, got "
            f"moments {', '.join(dict.fromkeys(n.partition('/')[0] for n in moments))}; the gradients are the same "
            "with `optimizer=sgd`"
        )
    returned = [f"{first}/{n}" if first else n for n in names]
    missing = [n for n in returned if n not in at]
    if missing:
        raise UserError(f"`manifest` wants a result of {name} called {missing[0]}, got {', '.join(results)}")
    gradients = (
        [Gradient(of[n], at[f"{first}/{n}"], free=True) for n in names]
        if first
        else [Gradient(of[n], at[n], less=of[n], over=of.get("lr"), free=True) for n in names]
    )
    return Claim(outputs, tuple(gradients), tuple(of[n] for n in moments)), None


def scalar_results(function: Function) -> list[int]:
    """Those that may be a loss."""
    return [i for i, v in enumerate(function.results) if not v.shape and v.type.dtype not in INTEGER_DTYPES]


def loss_of(function: Function, loss: str | None) -> tuple[tuple[int, None], ...]:
    """The result that is the loss, by its number; else result 0, or the only scalar; empty if there is none."""
    scalars = scalar_results(function)
    if loss == NO_LOSS:
        return ()
    if loss is not None:
        if not loss.isdigit() or int(loss) not in scalars:
            of = (
                f"a scalar result ({', '.join(map(str, scalars))})"
                if scalars
                else "a scalar result, of which there is none"
            )
            raise UserError(f"`loss` wants the number of {of}, or {NO_LOSS!r}, got {loss!r}")
        return ((int(loss), None),)
    if not scalars or 0 in scalars:
        return ((0, None),) if scalars else ()
    if len(scalars) > 1:
        raise UserError(f"results {', '.join(map(str, scalars))} are scalars; say by `loss=NUMBER` which is the loss")
    return ((scalars[0], None),)


def claim_of_words(
    function: Function, loss: str | None, wrt: Sequence[str], updates: Sequence[str], scale: Fraction
) -> Claim:
    """Of anybody's text: each of `wrt` is ARGUMENT=RESULT, of `updates` ARGUMENT=RESULT:RULE; see `UPDATES`.

    Arguments by their numbers or names, results by their numbers.
    """
    gradients = []
    for pair in wrt:
        of, result = _pair(function, "`wrt`", pair, "`wrt=0=1`")
        gradients.append(Gradient(of, result, factor=1 / scale))
    zero: list[int] = []
    for words in updates:
        g, states = _update(function, words)
        gradients.append(g)
        zero += states
    twice = {function.names[g.of] for g in gradients if sum(o.of == g.of for o in gradients) > 1}
    if twice:
        raise UserError(f"`wrt` and `updates` want each argument once, got {', '.join(sorted(twice))} twice")
    return Claim(loss_of(function, loss), tuple(gradients), tuple(zero))


def _pair(function: Function, option: str, pair: str, example: str) -> tuple[int, int]:
    """ARGUMENT=RESULT of one type."""
    results = {str(i): i for i in range(len(function.results))}
    arguments = {**places(function.names), **{str(i): i for i in range(len(function.params))}}
    argument, separator, result = pair.partition("=")
    if not separator or argument not in arguments or result not in results:
        raise UserError(
            f"{option} wants ARGUMENT=RESULT with an argument from 0 to {len(function.params) - 1} or its name and a "
            f"result from 0 to {len(results) - 1}, got {pair!r}; write for example {example}"
        )
    of, at = arguments[argument], results[result]
    if function.params[of].type.dtype in INTEGER_DTYPES:
        raise UserError(
            f"{option} wants an argument of floats, got argument {of} of {function.params[of].type}: integers have no "
            "derivative; name another"
        )
    if function.params[of].type != function.results[at].type:
        raise UserError(
            f"{option}: a gradient has its argument's type; argument {of} is {function.params[of].type}, "
            f"result {at} is {function.results[at].type}"
        )
    return of, at


UPDATES = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}
"""How an update is read, by how many of STATE=RESULT's words its rule needs: none, the state, or both.

sgd: p_new - p is a multiple of the gradient. momentum: so it is where the velocity STATE is 0. adam: the first moment's
new value RESULT is one where the moment STATE is 0. A weight decay is found beside the multiple.
"""
NEEDED = ("", ":STATE with the argument that is its velocity", ":STATE=RESULT with its first moment, before and after")


def _update(function: Function, words: str) -> tuple[Gradient, list[int]]:
    pair, _, rest = words.partition(":")
    rule, _, state = rest.partition(":")
    if rule not in UPDATES:
        raise UserError(f"`updates` wants ARGUMENT=RESULT:RULE with a rule of {', '.join(UPDATES)}, got {words!r}")
    of, result = _pair(function, "`updates`", pair, "`updates=0=0:sgd`")
    needs = UPDATES[rule]
    if bool(state) != bool(needs):
        raise UserError(f"`updates`: {rule} wants {NEEDED[needs].lstrip(':') or 'nothing after it'}, got {words!r}")
    if not needs:
        return Gradient(of, result, less=of, free=True), []
    if needs == 1:
        at, _ = _pair(
            function, "`updates`", f"{state.partition('=')[0]}={pair.partition('=')[2]}", "`updates=0=0:momentum:2`"
        )
        return Gradient(of, result, less=of, free=True), [at]
    at, after = _pair(function, "`updates`", state, "`updates=0=0:adam:2=2`")
    if function.results[after].type != function.params[of].type:
        raise UserError(f"`updates`: a moment has its argument's type, got {words!r}")
    return Gradient(of, after, free=True), [at]
