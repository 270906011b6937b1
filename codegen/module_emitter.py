"""Emits the functions of the module of one (net, batch, recipe): init, train_step, eval_step, predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen import choices
from netc.codegen.averaging import averaged
from netc.codegen.builder import Builder
from netc.codegen.changed import change
from netc.codegen.chunked_loss import SHARE, ChunkedLoss
from netc.codegen.clipping import clipped
from netc.codegen.distilling import taught, teach
from netc.codegen.distribute.meeting import met
from netc.codegen.documents import begins_of
from netc.codegen.groups import rates, trained_of, waiting
from netc.codegen.ir import Function, Value
from netc.codegen.labels import evaluated, judge_masked, share_of
from netc.codegen.losses import correct, emit_loss
from netc.codegen.norms import norm
from netc.codegen.optim import rule_of
from netc.codegen.process import answered, derived
from netc.codegen.random import initial_values, step_key
from netc.codegen.rules import AUXILIARY, CHOICES, Scope, emit
from netc.codegen.slots import KEY, SCALAR, Slot, averages_of, kept_of
from netc.codegen.steps import Accumulation, Derived
from netc.codegen.wrapping import followed, uphill
from netc.netspec.check import CheckedNet
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import example_of, target_of
from netc.netspec.types import ParamSpec, TensorType


@dataclass(frozen=True)
class ModuleEmitter:
    """Emits the functions of one module."""

    net: CheckedNet
    recipe: Recipe
    batch: int
    state: tuple[Slot, ...]
    replicas: int = 1

    @property
    def _own(self) -> int:
        """How many examples of a batch each replica has."""
        return self.batch // self.replicas

    @property
    def _trained(self) -> tuple[ParamSpec, ...]:
        return trained_of(self.net, self.recipe.groups)

    def _take(self, b: Builder, slots: Sequence[Slot]) -> dict[str, Value]:
        return {s.name: b.parameter(s.name, s.type) for s in slots}

    def _images(self, b: Builder, example: TensorType | None = None) -> Value:
        example = example or example_of(self.net, self.recipe)
        return b.parameter("x", TensorType((self._own, *example.shape), example.dtype))

    def _target(self, b: Builder) -> Value:
        target = target_of(self.net, self.recipe)
        return b.parameter("y", TensorType((self._own, *target.shape), target.dtype))

    @property
    def _draws(self) -> bool:
        """Whether a step draws: the net, or what becomes of its examples."""
        return self.net.signature.draws or self.recipe.draws

    def _forward(self, b: Builder, held: dict[str, Value], x: Value) -> Value:
        """The output in evaluation."""
        return emit(b, self.net.spec.body, self._evaluated(b, held, x), x).y

    def _evaluated(self, b: Builder, held: dict[str, Value], x: Value) -> Scope:
        return Scope(held, held, False, remat=self.recipe.recomputed, begins=begins_of(b, self.recipe.documents, x))

    def init(self) -> Function:
        """seed -> state: drawn parameters, zero moments and averages."""
        b = Builder("init")
        seed = b.parameter("seed", KEY)
        with b.at("init"):
            drawn = initial_values(b, seed, [(p.init, p.shape) for p in self.net.params])
        values = dict(zip((p.name for p in self.net.params), drawn, strict=True), key=seed)
        values.update({s.name: b.constant(s.init.value, TensorType(s.shape)) for s in self.net.state})
        return b.finish([(s.name, values.get(s.name) or b.constant(0, s.type)) for s in self.state])

    @cached_property
    def chunked(self) -> ChunkedLoss:
        """The loss by chunks of tokens, where the recipe asks for it."""
        return ChunkedLoss(self.net, self.recipe, self._frozen)

    @property
    def _frozen(self) -> set[str]:
        return {p.name for p in self.net.params} - {p.name for p in self._trained}

    def _derive(self, b: Builder, held: dict[str, Value], x: Value, target: Value) -> Derived:
        """The share of these examples in the mean over the whole batch, and of its gradient."""
        if self.recipe.chunked_loss:
            return self._added(b, self._derive_by_chunks(b, held, x, target))
        key = self._key(b, held)
        if self.recipe.generation.process:
            scope = self._scope(b, held, key, x)
            return self._added(b, derived(b, self.net, self.recipe, scope, x, target, self.batch))
        changed = change(b, self.recipe, key, x)
        out = emit(b, self.net.spec.body, self._scope(b, held, key, x), changed.x)
        shown = teach(b, self.recipe.distilling, held, changed.x)
        with b.at("loss"):
            found = [self._one_loss(b, held, out.y, t) for t in changed.targets(b, target)]
            mean = changed.sum(b, [mean for mean, _, _ in found])
            right = changed.sum(b, [right for _, right, _ in found])
            both = taught(b, self.recipe.distilling, out.y, shown, mean, 1 / self.batch)
        with b.at("loss", "vjp"):
            dlogits = both.pull(changed.sum(b, [pull() for _, _, pull in found]))
        _, drawn = out.pull(dlogits)
        return self._added(b, Derived(both.mean, right, drawn, out.state))

    def _key(self, b: Builder, held: Mapping[str, Value]) -> Value | None:
        """The key of the step, where it draws."""
        if not self._draws:
            return None
        with b.at("key"):
            return step_key(b, held["key"], held["step"], self.replicas)

    def _scope(self, b: Builder, held: Mapping[str, Value], key: Value | None, x: Value) -> Scope:
        recipe = self.recipe
        return Scope(
            held, held, True, key=key, remat=recipe.recomputed, frozen=recipe.groups.freeze,
            share=x.shape[0] / self.batch, replicas=self.replicas if recipe.sync_bn else 1,
            begins=begins_of(b, recipe.documents, x),
        )  # fmt: skip

    def _added(self, b: Builder, found: Derived) -> Derived:
        """What layers add to the loss, taken out of the states and put into the loss; and what they tell of experts."""
        told = choices.joined(b, found.state)
        added = {name: value for name, value in found.state.items() if name.endswith(AUXILIARY)}
        loss = found.loss
        with b.at("loss"):
            for own in added.values():
                loss = b.add(loss, own)
        others = {n: v for n, v in found.state.items() if not n.endswith((AUXILIARY, CHOICES))}
        return replace(found, loss=loss, state=others, choices=told)

    def _derive_by_chunks(self, b: Builder, held: dict[str, Value], x: Value, target: Value) -> Derived:
        """The same, the loss by chunks of tokens."""
        scope = self._scope(b, held, self._key(b, held), x)
        share = held.get(SHARE) or b.scalar(1 / (self.batch * self.net.x.shape[0]))
        return self.chunked.derive(b, held, scope, x, target, share)

    def _one_loss(
        self, b: Builder, held: Mapping[str, Value], logits: Value, target: Value
    ) -> tuple[Value, Value, Callable[[], Value]]:
        """The share of these examples in the mean loss, how many are right, and what emits the loss's gradient."""
        mean, pull = self._mean_loss(b, held, logits, target)
        return mean, b.sum(correct(b, self.recipe.loss, logits, target), (0,)), pull

    def _mean_loss(
        self, b: Builder, held: Mapping[str, Value], logits: Value, target: Value
    ) -> tuple[Value, Callable[[], Value]]:
        """The share of these examples in the mean loss, and what emits its gradient to the logits."""
        if not self.recipe.check_labels:
            loss = emit_loss(b, self.recipe.loss, logits, target)
            mean = b.mul(b.sum(loss.each, (0,)), 1 / self.batch)
            return mean, lambda: loss.pull(b.constant(1 / self.batch, TensorType(target.shape[:1])))
        masked, share = judge_masked(b, self.recipe.loss, logits, target), held[SHARE]
        mean = b.mul(b.sum(masked.each, tuple(range(len(target.shape)))), share)
        return mean, lambda: masked.pull(share)

    @property
    def accumulation(self) -> Accumulation:
        """How the parts of a batch are added up."""
        example, target = example_of(self.net, self.recipe), target_of(self.net, self.recipe)
        x = TensorType((self._own // self.recipe.accumulate, *example.shape), example.dtype)
        y = TensorType((x.shape[0], *target.shape), target.dtype)
        constants = (Slot(SHARE, "constant", SCALAR),) if self.recipe.check_labels else ()
        return Accumulation(
            self.recipe.accumulate, self.state, self._draws, constants, x, y, self._derive, self._frozen,
            choices.experts_of(self.net, self.recipe.groups.freeze),
        )  # fmt: skip

    def train_step(self, micro: Function | None = None) -> Function:
        """(state, x, y, lr) -> (state, loss, correct, grad_norm, param_norm), metrics of the incoming state.

        Of a net with experts also expert_most and expert_least. With `micro`, the gradient is accumulated over calls of
        it.
        """
        b = Builder("train_step")
        held = self._take(b, self.state)
        x, target = self._images(b), self._target(b)
        lr, step = b.parameter("lr", SCALAR), held["step"]
        bad: dict[str, Value] = {}
        if self.recipe.check_labels:
            with b.at("labels"):
                held[SHARE], bad["bad_labels"] = share_of(b, target, self.net.out.shape[-1], self.replicas)

        def derive(weights: dict[str, Value]) -> Derived:
            if micro:
                own = self.accumulation.accumulate(b, micro, weights, x, target)
            else:
                own = self._derive(b, weights, x, target)
            return met(b, own, held, self.replicas, synced=self.recipe.sync_bn)

        params = self._points(b, held)
        found = derive({**held, **params})
        used = found.grads
        if rho := self.recipe.wrapping.sam:
            used = derive({**held, **uphill(b, rho, params, used)}).grads
        grads, total = clipped(b, self.recipe.clipping, self._trained, params, used)
        total = total if used is found.grads else None
        new = {**held, **found.state, **self._update(b, held, grads, lr)}
        new |= followed(b, self.recipe.wrapping, held, new, [*params])
        new |= averaged(b, self.recipe.averaging, {s.name: held[s.name] for s in averages_of(self.state)}, new, step)
        new["step"] = b.add(step, 1)
        metrics = {"loss": found.loss, "correct": found.correct}
        if self.recipe.norms:
            with b.at("norms"):
                metrics["grad_norm"] = norm(b, [found.grads[n] for n in params]) if total is None else total
                metrics["param_norm"] = norm(b, [held[p.name] for p in self.net.params])
        metrics |= choices.said(b, found.choices) if found.choices else {}
        results = [(s.name, new[s.name]) for s in self.state] + list({**metrics, **bad}.items())
        return replace(b.finish(results), donated=len(self.state))

    def _points(self, b: Builder, held: dict[str, Value]) -> dict[str, Value]:
        """The trained weights where the gradient is taken: as they are held, but for optimizers that say otherwise."""
        optimizer, rule = self.recipe.optimizer, rule_of(self.recipe.optimizer)
        params = {p.name: held[p.name] for p in self._trained}
        if rule.point is not None:
            for name, p in params.items():
                with b.at(name, "update"):
                    params[name] = rule.point(b, optimizer, p, self._kept(held, name))
        return params

    def _kept(self, held: Mapping[str, Value], name: str) -> dict[str, Value]:
        """The moments of a parameter by their names in the optimizer's rule."""
        moments = rule_of(self.recipe.optimizer).moments(self.recipe.optimizer)
        return {m: held[slot] for m in moments if (slot := f"{m}/{name}") in held}

    def _update(self, b: Builder, held: dict[str, Value], grads: Mapping[str, Value], lr: Value) -> dict[str, Value]:
        optimizer, rule = self.recipe.optimizer, rule_of(self.recipe.optimizer)
        with b.at("optimizer"):
            scalars = rule.advance(b, optimizer, {**{c: held[c] for c in rule.scalars}, "lr": lr})
        new: dict[str, Value] = dict(scalars)
        rate = rates(b, self.net, self.recipe.groups, lr)
        for p in self._trained:
            kept = self._kept(held, p.name)
            with b.at(p.name, "update"):
                decay = p.decay or self.recipe.decay_all
                args = held[p.name], grads[p.name], decay, {**kept, **scalars}, rate(p.name)
                value, after = rule.update(b, optimizer, *args)
                if first := self.recipe.groups.thawed_at(p.name):
                    value = waiting(b, held["step"], first, held[p.name], value)
            new[p.name] = value
            new.update({f"{m}/{p.name}": v for m, v in after.items()})
        return new

    def eval_step(self) -> Function:
        """(parameters, statistics, x, y, weight) -> (loss, correct, count): sums weighted by `weight` [B].

        Where labels are checked, those that are no class count nothing. Of a net with experts also `choices`, the sums
        [experts of all layers] of the share of an example's choices in a layer that fell on each.
        """
        b = Builder("eval_step")
        held = self._take(b, kept_of(self.state))
        x, target = self._images(b), self._target(b)
        weight = b.parameter("weight", TensorType((self._own,)))
        each, part, right, told = self._judged(b, held, x, target)
        with b.at("loss"):
            counted = weight if part is None else b.mul(part, weight)
            each = b.mul(each, weight)
            sums = {"loss": each, "correct": b.mul(right(), weight), "count": counted}
        with b.at("experts"):
            sums |= {"choices": b.mul(told, b.broadcast(weight, told.type, (0,)))} if told else {}
        with b.at("loss"):
            return b.finish([(n, b.over_replicas(b.sum(v, (0,)), self.replicas)) for n, v in sums.items()])

    def _judged(
        self, b: Builder, held: dict[str, Value], x: Value, target: Value
    ) -> tuple[Value, Value | None, Callable[[], Value], Value | None]:
        """The loss of each example [B], the part of it that counts where that may not be all, what is right of it.

        And the shares of its choices among experts [B, experts of all layers], where there are any.
        """
        loss = self.recipe.loss.evaluated
        scope = replace(self._evaluated(b, held, x), examples=self._own)
        if self.recipe.chunked_loss:
            judged, state = self.chunked.judge(b, held, scope, x, target)
            return *judged, choices.joined(b, state, 1)
        if self.recipe.generation.process:
            return *answered(b, self.net, self.recipe, self._evaluated(b, held, x), x, target), None
        out = emit(b, self.net.spec.body, scope, x)
        logits = out.y
        with b.at("loss"):
            if self.recipe.check_labels:
                each, part = evaluated(b, loss, logits, target)
            else:
                each, part = emit_loss(b, loss, logits, target).each, None
        return each, part, lambda: correct(b, loss, logits, target), choices.joined(b, out.state, 1)

    def predict(self) -> Function:
        """(parameters, statistics, x) -> logits."""
        b = Builder("predict")
        held = self._take(b, kept_of(self.state))
        return b.finish([("logits", self._forward(b, held, self._images(b, self.net.x)))])
