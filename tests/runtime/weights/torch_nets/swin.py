"""Swin transformers (Liu et al. 2021, section 3), as torchvision.models.swin_transformer names them."""

import torch
from torch import nn

W = 7


class Attention(nn.Module):
    """Attention inside windows, with a bias for each offset of two pixels."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * W - 1) ** 2, heads))
        place = torch.stack(torch.meshgrid(torch.arange(W), torch.arange(W), indexing="ij"), -1).reshape(-1, 2)
        offset = place[:, None] - place[None] + W - 1
        self.register_buffer("relative_position_index", (offset[..., 0] * (2 * W - 1) + offset[..., 1]).flatten())

    def forward(self, x, shift):
        n, h, w, c = x.shape
        x = nn.functional.pad(x, (0, 0, 0, -w % W, 0, -h % W))
        tall, wide = x.shape[1] // W, x.shape[2] // W
        by = (shift if tall > 1 else 0, shift if wide > 1 else 0)

        def windows(t):
            t = t.roll((-by[0], -by[1]), (1, 2)).reshape(t.shape[0], tall, W, wide, W, t.shape[3])
            return t.transpose(2, 3).reshape(t.shape[0], tall * wide, W * W, t.shape[5])

        q, k, v = self.qkv(windows(x)).unflatten(3, (3, self.heads, c // self.heads)).permute(3, 0, 1, 4, 2, 5)
        bias = self.relative_position_bias_table[self.relative_position_index].reshape(W * W, W * W, self.heads)
        # a pixel belongs to the part of the image that the move has left it with: the wrapped rows are another one
        part = torch.zeros(1, tall * W, wide * W, 1)
        part[:, : by[0]] += 1
        part[:, :, : by[1]] += 2
        part = windows(part)[0, ..., 0]
        mask = -100.0 * (part[:, :, None] != part[:, None]).to(x.dtype)
        score = q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5 + bias.permute(2, 0, 1) + mask[:, None]
        y = self.proj((score.softmax(-1) @ v).transpose(2, 3).flatten(3))
        y = y.reshape(n, tall, wide, W, W, c).transpose(2, 3).reshape(n, tall * W, wide * W, c)
        return y.roll(by, (1, 2))[:, :h, :w]


class Block(nn.Module):
    """Attention and MLP, each on the norm of x and added to x."""

    def __init__(self, width, heads, shift):
        super().__init__()
        self.shift = shift
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(width), Attention(width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x), self.shift)
        return x + self.mlp(self.norm2(x))


class Merge(nn.Module):
    """Four neighbours as one pixel of twice the width; the neighbour below comes before the one beside."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x):
        x = nn.functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, down::2, right::2] for right in (0, 1) for down in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, 3)))


class Turn(nn.Module):
    """Channels last."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1)


class Swin(nn.Module):
    """The first stages of Swin-T, norm, mean, head."""

    def __init__(self, classes, stages=((2, 3), (2, 6))):
        super().__init__()
        width = 96
        layers = [nn.Sequential(nn.Conv2d(3, width, 4, 4), Turn(), nn.LayerNorm(width))]
        for index, (blocks, heads) in enumerate(stages):
            if index:
                layers.append(Merge(width))
                width *= 2
            layers.append(nn.Sequential(*(Block(width, heads, W // 2 * (i % 2)) for i in range(blocks))))
        self.features = nn.Sequential(*layers)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.norm(self.features(x)).mean((1, 2)))
