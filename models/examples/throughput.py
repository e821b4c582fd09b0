"""Training throughput of the network of `ae` in PyTorch: the same layers, shapes, loss and optimiser as
models/src/ae/network.rs and models/src/training/ae.rs, on crops of noise (what is in them costs nothing).

    python3 models/examples/throughput.py --batch 8 --crop 128 --threads 1 --seconds 30

prints crops a second, to be compared with those of `semcast train ae` with the same --batch, --crop and, through
RAYON_NUM_THREADS, threads. Needs PyTorch (any 2.x) and nothing else.
"""

import argparse
import time

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS, BLOCK = 256, 16


def conv(inside, outside, kernel, stride=1):
    return nn.Conv2d(inside, outside, kernel, stride, kernel // 2)


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = conv(channels, channels, 3), conv(channels, channels, 3)

    def forward(self, x):
        return x + self.second(F.relu(self.first(x)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Conv2d(3 * BLOCK * BLOCK, CHANNELS, 1, bias=False)
        self.spread = nn.Parameter(torch.ones(1, CHANNELS, 1, 1))
        self.to_eighth = conv(48, 64, 3, 2)
        self.eighth = nn.Sequential(*[Residual(64) for _ in range(2)])
        self.to_sixteenth = conv(64, 128, 3, 2)
        self.from_linear = conv(CHANNELS, 128, 1)
        self.sixteenth = nn.Sequential(*[Residual(128) for _ in range(3)])
        self.gate, self.correction = conv(128, CHANNELS, 1), conv(128, CHANNELS, 1)

    def forward(self, picture):
        linear = self.linear(F.pixel_unshuffle(picture, BLOCK))
        hidden = self.eighth(F.relu(self.to_eighth(F.pixel_unshuffle(picture * 4, 4))))
        hidden = F.relu(self.to_sixteenth(hidden) + self.from_linear(linear / self.spread))
        hidden = self.sixteenth(hidden)
        return linear + linear * self.gate(hidden) + self.correction(hidden) * self.spread


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(1, CHANNELS, 1, 1))
        self.from_symbols = conv(2 * CHANNELS, 128, 1)
        self.sixteenth = nn.Sequential(*[Residual(128) for _ in range(3)])
        self.gate, self.correction = conv(128, CHANNELS, 1), conv(128, CHANNELS, 1)
        self.linear = nn.Conv2d(CHANNELS, 3 * BLOCK * BLOCK, 1, bias=False)
        self.to_eighth, self.picture_to_eighth = conv(128, 4 * 64, 1), conv(48, 64, 3, 2)
        self.eighth = nn.Sequential(*[Residual(64) for _ in range(3)])
        self.to_quarter, self.picture_to_quarter = conv(64, 4 * 48, 1), conv(48, 48, 3)
        self.quarter = nn.Sequential(*[Residual(48) for _ in range(2)])
        self.refinement = conv(48, 48, 3)

    def forward(self, received, noise):
        variance = self.log_variance.exp()
        trust = variance / (variance + noise)
        estimate, spread = received * trust, variance.sqrt()
        hidden = self.sixteenth(F.relu(self.from_symbols(torch.cat([estimate / spread, trust], 1))))
        estimate = estimate + estimate * self.gate(hidden) + self.correction(hidden) * spread
        picture = F.pixel_shuffle(self.linear(estimate), BLOCK)
        quarters = F.pixel_unshuffle(picture * 4, 4)
        hidden = F.relu(F.pixel_shuffle(self.to_eighth(hidden), 2) + self.picture_to_eighth(quarters))
        hidden = self.eighth(hidden)
        hidden = F.relu(F.pixel_shuffle(self.to_quarter(hidden), 2) + self.picture_to_quarter(quarters))
        return picture + F.pixel_shuffle(self.refinement(self.quarter(hidden)), 4)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    encoder, decoder = Encoder(), Decoder()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0)
    pictures = torch.rand(options.batch, 3, options.crop, options.crop) - 0.5

    def step():
        code = encoder(pictures)
        power = code.square().mean((1, 2, 3), keepdim=True)
        variance = 0.1 * power.expand_as(code)
        received = code + torch.randn_like(code) * variance.sqrt()
        errors = (decoder(received, variance) - pictures).square().mean((1, 2, 3))
        loss = (errors + 3e-5).log().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    step()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < options.seconds:
        step()
        steps += 1
    rate = steps * options.batch / (time.perf_counter() - began)
    count = sum(parameter.numel() for parameter in parameters)
    print(f"PyTorch {torch.__version__}, {count / 1e6:.2f} M parameters, {options.threads} threads: {rate:.1f} crops/s")


if __name__ == "__main__":
    main()
