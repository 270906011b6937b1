"""Layers that torch has no module of, as somebody would write them there: images are [B, C, H, W], tokens [B, T, D].

A parameter has the name that it has in netc, so that `load` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from netc.netspec.layers.window import Pair


class Sum(nn.Module):  # type: ignore[misc]
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return self.body(x) + self.shortcut(x)


class Gated(nn.Module):  # type: ignore[misc]
    """x body(x), body(x) like x or one number for each channel of an image."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product."""
        g = self.body(x)
        return x * (g if g.dim() == x.dim() else g[:, :, None, None])


class Joined(nn.Module):  # type: ignore[misc]
    """The branches' outputs side by side; each sees x, or its own part where `widths` says how wide they are."""

    def __init__(self, branches: Sequence[nn.Module], dim: int, widths: Sequence[int] = ()) -> None:
        super().__init__()
        self.branches, self.dim, self.widths = nn.ModuleList(branches), dim, list(widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Along `dim`."""
        parts = torch.split(x, self.widths, self.dim) if self.widths else [x] * len(self.branches)
        return torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], self.dim)


class Mean(nn.Module):  # type: ignore[misc]
    """The mean over what lies between batch and channels, which are on axis `channels`."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] or [N, T, C] -> [N, C]."""
        return x.mean(dim=self.dims)


class Of(nn.Module):  # type: ignore[misc]
    """A function without parameters."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Its value."""
        return self.function(x)


class ChannelsLast(nn.Module):  # type: ignore[misc]
    """A module of the last axis on an image's channels, as torchvision's Permute has it around a layer norm."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> [N, C', H, W]."""
        return self.inner(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class DropPath(nn.Module):  # type: ignore[misc]
    """Stochastic depth, an example as a whole; torchvision's StochasticDepth(mode="row")."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x, or 0, or x / (1 - rate)."""
        if not self.training or not self.rate:
            return x
        kept = torch.empty((len(x), *(1,) * (x.dim() - 1)), dtype=x.dtype).bernoulli_(1 - self.rate)
        return x * kept.div_(1 - self.rate)


class Scaled(nn.Module):  # type: ignore[misc]
    """gamma x, one number for each channel."""

    def __init__(self, channels: int, image: bool) -> None:
        super().__init__()
        self.gamma, self.image = nn.Parameter(torch.ones(channels)), image

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product."""
        return x * (self.gamma[:, None, None] if self.image else self.gamma)


class Before(nn.Module):  # type: ignore[misc]
    """Trained tokens before those of x."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(count, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, T, D] -> [N, count + T, D]."""
        return torch.cat([self.tokens.expand(len(x), -1, -1), x], 1)


class Positions(nn.Module):  # type: ignore[misc]
    """x + positions."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return x + self.positions


class Embed(nn.Module):  # type: ignore[misc]
    """Rows of a table by ids, and a learned vector for each place."""

    def __init__(self, vocabulary: int, width: int, places: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(vocabulary, width))
        self.positions = nn.Parameter(torch.zeros(places, width)) if places else None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[N, T] -> [N, T, width]."""
        x = functional.embedding(ids, self.tokens)
        return x if self.positions is None else x + self.positions


class Tied(nn.Module):  # type: ignore[misc]
    """The embedding's matrix is the head."""

    def __init__(self, embed: Embed, body: nn.Module) -> None:
        super().__init__()
        self.embed, self.body = embed, body

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[N, T] -> [N, T, vocabulary]."""
        return functional.linear(self.body(self.embed(ids)), self.embed.tokens)


class Attention(nn.Module):  # type: ignore[misc]
    """Self-attention of [N, T, (H + 2 K) d], queries, keys and values side by side, by torch's fused product."""

    def __init__(self, heads: int, few: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.few, self.causal, self.dropout = heads, few, causal, dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """-> [N, T, H d]."""
        n, t, width = x.shape
        split = x.view(n, t, self.heads + 2 * self.few, -1).transpose(1, 2)
        q, k, v = split.split([self.heads, self.few, self.few], 1)
        rate = self.dropout if self.training else 0.0
        shared = self.few < self.heads
        y = functional.scaled_dot_product_attention(q, k, v, None, rate, self.causal, enable_gqa=shared)
        return y.transpose(1, 2).reshape(n, t, width * self.heads // (self.heads + 2 * self.few))


def to_windows(x: torch.Tensor, window: int, shift: Pair) -> torch.Tensor:
    """[N, C, H, W] -> [N, n window², C], as torchvision's shifted_window_attention cuts an image up."""
    x = x.permute(0, 2, 3, 1)
    n, height, width, channels = x.shape
    x = functional.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    x = torch.roll(x, (-shift[0], -shift[1]), (1, 2)) if any(shift) else x
    x = x.view(n, x.shape[1] // window, window, x.shape[2] // window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(n, -1, channels)


def from_windows(x: torch.Tensor, size: Pair, window: int, shift: Pair) -> torch.Tensor:
    """The inverse."""
    down, along = (-(-side // window) for side in size)
    x = x.view(len(x), down, along, window, window, -1).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(len(x), down * window, along * window, -1)
    x = torch.roll(x, shift, (1, 2)) if any(shift) else x
    return x[:, : size[0], : size[1]].permute(0, 3, 1, 2)


def to_depth(x: torch.Tensor, block: int) -> torch.Tensor:
    """The pixels of each block on the channels, column by column."""
    x = functional.pad(x, (0, -x.shape[3] % block, 0, -x.shape[2] % block))
    return torch.cat([x[:, :, i::block, j::block] for j in range(block) for i in range(block)], 1)


class WindowAttention(nn.Module):  # type: ignore[misc]
    """torchvision's shifted_window_attention between the cutting up and the putting back."""

    def __init__(self, heads: int, window: int, windows: Pair, shift: Pair, dropout: float) -> None:
        super().__init__()
        self.heads, self.square, self.dropout = heads, window * window, dropout
        self.table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        place = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        apart = place[:, None] - place[None] + window - 1
        self.register_buffer("index", apart[..., 0] * (2 * window - 1) + apart[..., 1])
        # pixels that were moved around an edge, window by window
        size = (windows[0] * window, windows[1] * window)
        part = torch.zeros(1, 1, *size)
        part[:, :, size[0] - shift[0] :] += 1
        part[:, :, :, size[1] - shift[1] :] += 2
        each = to_windows(part, window, (0, 0)).view(-1, self.square)
        torn = (each[:, None] != each[:, :, None]).float() * -100.0
        self.register_buffer("mask", torn[:, None] if any(shift) else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, n w², 3 H d] -> [N, n w², H d]."""
        n, tokens, width = x.shape
        split = x.view(n, tokens // self.square, self.square, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        q, k, v = split.unbind(0)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores = scores + self.table[self.index].permute(2, 0, 1)
        if self.mask is not None:
            scores = scores + self.mask
        kept = functional.dropout(scores.softmax(-1), self.dropout, self.training)
        return (kept @ v).transpose(2, 3).reshape(n, tokens, width // 3)


class Scan(nn.Module):  # type: ignore[misc]
    """A selective scan step by step, as mamba_ssm's selective_scan_ref has it, torch's only form without a GPU."""

    def __init__(self, inner: int, state: int) -> None:
        super().__init__()
        self.sizes = [inner, inner, state, state]
        self.log_rate = nn.Parameter(torch.zeros(inner, state))
        self.step_bias, self.skip = nn.Parameter(torch.zeros(inner)), nn.Parameter(torch.ones(inner))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, T, 2 E + 2 S] -> [N, T, E]."""
        u, step, b, c = x.split(self.sizes, -1)
        delta = functional.softplus(step + self.step_bias)
        decay = torch.exp(delta[..., None] * -torch.exp(self.log_rate))
        added = (delta * u)[..., None] * b[:, :, None]
        h, ys = torch.zeros_like(added[:, 0]), []
        for t in range(x.shape[1]):
            h = decay[:, t] * h + added[:, t]
            ys.append((h @ c[:, t, :, None])[..., 0])
        return torch.stack(ys, 1) + u * self.skip
