"""Constants for the parity tests of models/src/taef2, made with PyTorch.

    python models/tests/taef2_reference.py [FOLDER_WITH_TAEF2 [FOLDER_OF_PICTURES [OUT [LIMIT]]]]

Writes a small network of TAEF2's architecture with random weights (seed 1) to models/tests/taef2/, its encoder as a zip
archive and its decoder as a legacy stream, and prints what it makes of a picture. With the folder of taef2_encoder.pth
and taef2_decoder.pth it prints the same for the real weights, and with a folder of pictures (needs Pillow and NumPy) the mean
PSNR through both halves. With a folder OUT it also sends the latents of the first LIMIT pictures as they are, scaled to unit
power, over white noise, and writes what arrives to OUT/<SNR>dB: what a projection has to be better than.
"""

import pathlib
import sys

import torch
from torch import nn


def conv(n_in, n_out, **settings):
    return nn.Conv2d(n_in, n_out, 3, padding=1, **settings)


class Block(nn.Module):
    def __init__(self, width, pooled=False):
        super().__init__()
        self.conv = nn.Sequential(
            conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, width)
        )
        self.pool = None
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(width, 4 * width, 1, bias=False),
                nn.GroupNorm(4, 4 * width),
                nn.ReLU(),
                nn.Conv2d(4 * width, width, 1, bias=False),
            )

    def forward(self, x):
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class Bound(nn.Module):
    def forward(self, x):
        return torch.tanh(x / 3) * 3


def encoder(width, latents):
    down = lambda: conv(width, width, stride=2, bias=False)
    three = lambda pooled=False: [Block(width, pooled) for _ in range(3)]
    layers = [conv(3, width), Block(width), down(), *three(), down(), *three(), down(), *three(True)]
    return nn.Sequential(*layers, conv(width, latents))


def decoder(width, latents):
    up = lambda: [nn.Upsample(scale_factor=2), conv(width, width, bias=False)]
    three = lambda pooled=False: [Block(width, pooled) for _ in range(3)]
    layers = [Bound(), conv(latents, width), nn.ReLU(), *three(True), *up(), *three(), *up(), *three(), *up()]
    return nn.Sequential(*layers, Block(width), conv(width, 3))


def picture(height, width):
    """Values 0 to 1 that every language computes alike."""
    c = torch.arange(3).view(3, 1, 1)
    y = torch.arange(height).view(1, height, 1)
    x = torch.arange(width).view(1, 1, width)
    return (((7 * c + 5 * y + 3 * x + c * x * y) % 32) / 31.0)[None]


def show(name, values):
    print(f"{name}: mean {values.mean():.6f}, mean square {values.square().mean():.6f}")
    picked = values.flatten()[:: max(1, values.numel() // 12)][:12]
    print("    [" + ", ".join(f"{value:.6f}" for value in picked) + "]")


def through(name, encode, decode):
    latents = encode(picture(32, 48))
    show(f"{name} latents {tuple(latents.shape)}", latents)
    arrived = decode(latents)
    show(f"{name} picture {tuple(arrived.shape)}", arrived)


@torch.no_grad()
def main():
    here = pathlib.Path(__file__).parent / "taef2"
    torch.manual_seed(1)
    small = encoder(4, 2), decoder(4, 2)
    for half in small:
        for parameter in half.parameters():
            # Livelier than the usual start, which fades towards zero over so many layers.
            parameter.copy_((parameter * 1.5 + 0.1 * torch.randn_like(parameter)).half().float())
    for half, file, as_zip in zip(small, ["encoder.pth", "decoder.pth"], [True, False]):
        state = {name: value.half() for name, value in half.state_dict().items()}
        torch.save(state, here / file, _use_new_zipfile_serialization=as_zip)
    through("small", *small)
    if len(sys.argv) > 1:
        real = encoder(64, 32), decoder(64, 32)
        for half, file in zip(real, ["taef2_encoder.pth", "taef2_decoder.pth"]):
            state = torch.load(pathlib.Path(sys.argv[1]) / file, map_location="cpu", weights_only=True)
            half.load_state_dict({name: value.float() for name, value in state.items()})
        through("real", *real)
    if len(sys.argv) > 2:
        import numpy
        from PIL import Image

        psnr = []
        limit = int(sys.argv[4]) if len(sys.argv) > 4 else None
        for path in sorted(pathlib.Path(sys.argv[2]).iterdir())[:limit]:
            x = torch.from_numpy(numpy.asarray(Image.open(path).convert("RGB")).copy())
            x = x.permute(2, 0, 1)[None] / 255.0
            latents = real[0](x)

            def decoded(z):
                return (real[1](z).clamp(0, 1) * 255).round()

            psnr.append(-10 * (x - decoded(latents) / 255).square().mean().log10().item())
            print(f"{path.name}: {psnr[-1]:.3f} dB")
            for snr_db in [0, 5, 10, 20] if len(sys.argv) > 3 else []:
                spread = latents.square().mean().sqrt() * 10 ** (-snr_db / 20)
                arrived = decoded(latents + spread * torch.randn_like(latents))[0].permute(1, 2, 0)
                folder = pathlib.Path(sys.argv[3]) / f"{snr_db}dB"
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(arrived.byte().numpy()).save(folder / f"{path.stem}.png")
        print(f"mean PSNR {sum(psnr) / len(psnr):.3f} dB")


main()
