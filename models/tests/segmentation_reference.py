"""Constants for the parity tests of models/src/sct/segmentation, made with PyTorch, and mIoU on CamVid.

    python models/tests/segmentation_reference.py FOLDER_OF_ESPNET FOLDER_OF_EDGENETS [CAMVID]

The networks are written here from the papers (S. Mehta et al.: ESPNet, ECCV 2018, and ESPNetv2, CVPR 2019) and the names and
shapes in the published files. With the folder of CamVid (test/, testannot/, train/) it also prints the intersection over union
of espnet_p_2_q_8_camvid.pth on its test pictures.
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-3


class Wrap(nn.Module):
    """A convolution (or other layer) under a name of its own."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


def conv(a, b, k, s=1, d=1, g=1, bias=False):
    return nn.Conv2d(a, b, k, s, padding=(k // 2) * d, dilation=d, groups=g, bias=bias)


def C(a, b, k, s=1, d=1, g=1):
    return Wrap(conv=conv(a, b, k, s, d, g))


def BR(n, eps=EPS):
    return Wrap(bn=nn.BatchNorm2d(n, eps=eps), act=nn.PReLU(n))


def CBR(a, b, k, s=1, g=1, eps=EPS):
    return Wrap(conv=conv(a, b, k, s, g=g), bn=nn.BatchNorm2d(b, eps=eps), act=nn.PReLU(b))


def CB(a, b, k, s=1, g=1, eps=EPS):
    return Wrap(conv=conv(a, b, k, s, g=g), bn=nn.BatchNorm2d(b, eps=eps))


def pool(x):
    return F.avg_pool2d(x, 3, 2, 1)


class Esp(nn.Module):
    """ESPNet's block: reduce, split into dilated branches, sum hierarchically, concatenate."""

    def __init__(self, a, b, down=False, add=True):
        super().__init__()
        n = b // 5
        self.c1 = C(a, n, 3, 2) if down else C(a, n, 1)
        self.d1 = C(n, b - 4 * n, 3)
        for d in (2, 4, 8, 16):
            setattr(self, f"d{d}", C(n, n, 3, d=d))
        if down:
            self.bn, self.act = nn.BatchNorm2d(b, eps=EPS), nn.PReLU(b)
        else:
            self.bn = BR(b)
        self.down, self.add = down, add

    def forward(self, x):
        r = self.c1(x)
        parts, total = [self.d1(r)], 0
        for d in (2, 4, 8, 16):
            total = getattr(self, f"d{d}")(r) + total
            parts.append(total)
        y = torch.cat(parts, 1)
        if self.down:
            return self.act(self.bn(y))
        return self.bn(x + y if self.add else y)


class Encoder(nn.Module):
    def __init__(self, classes, p, q):
        super().__init__()
        self.level1 = CBR(3, 16, 3, 2)
        self.b1 = BR(19)
        self.level2_0 = Esp(19, 64, down=True)
        self.level2 = nn.ModuleList(Esp(64, 64) for _ in range(p))
        self.b2 = BR(131)
        self.level3_0 = Esp(131, 128, down=True)
        self.level3 = nn.ModuleList(Esp(128, 128) for _ in range(q))
        self.b3 = BR(256)
        self.classifier = C(256, classes, 1)


class EspNet(nn.Module):
    def __init__(self, classes, wide, p=2, q=8):
        super().__init__()
        self.encoder = Encoder(classes, p, q)
        self.level3_C = C(131, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=EPS)
        self.conv = CBR(wide + classes, classes, 3)
        self.wide = wide
        up = lambda: nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)
        self.up_l3 = nn.Sequential(up())
        self.combine_l2_l3 = nn.Sequential(BR(2 * classes), Esp(2 * classes, classes, add=False))
        self.up_l2 = nn.Sequential(up(), BR(classes))
        self.classifier = up()

    def forward(self, x):
        e = self.encoder
        half = pool(x)
        enter = e.level1(x)
        one = e.b1(torch.cat([enter, half], 1))
        first = two = e.level2_0(one)
        for layer in e.level2:
            two = layer(two)
        two = e.b2(torch.cat([two, first, pool(half)], 1))
        first = three = e.level3_0(two)
        for layer in e.level3:
            three = layer(three)
        three = e.b3(torch.cat([first, three], 1))
        deep = self.up_l3(self.br(e.classifier(three)))
        both = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(two), deep], 1)))
        return self.classifier(self.conv(torch.cat([both, enter if self.wide == 16 else one], 1)))


class Eesp(nn.Module):
    def __init__(self, a, b, reach, stride=1):
        super().__init__()
        n = b // 4
        self.proj_1x1 = CBR(a, n, 1, g=4, eps=1e-5)
        rates = sorted(1 + i if 3 + 2 * i <= reach else 1 for i in range(4))
        self.spp_dw = nn.ModuleList(C(n, n, 3, stride, d, n) for d in rates)
        self.conv_1x1_exp = CB(b, b, 1, g=4, eps=1e-5)
        self.br_after_cat = BR(b, 1e-5)
        self.module_act = nn.PReLU(b)
        self.stride = stride

    def forward(self, x):
        r = self.proj_1x1(x)
        parts, total = [], 0
        for layer in self.spp_dw:
            total = layer(r) + total
            parts.append(total)
        y = self.conv_1x1_exp(self.br_after_cat(torch.cat(parts, 1)))
        return y if self.stride == 2 else self.module_act(y + x)


class Down(nn.Module):
    def __init__(self, a, b, reach):
        super().__init__()
        self.eesp = Eesp(a, b - a, reach, 2)
        self.inp_reinf = nn.Sequential(CBR(3, 3, 3, eps=1e-5), CB(3, b, 1, eps=1e-5))
        self.act = nn.PReLU(b)

    def forward(self, x, picture):
        y = torch.cat([pool(x), self.eesp(x)], 1)
        while picture.size(2) > y.size(2):
            picture = pool(picture)
        return self.act(y + self.inp_reinf(picture))


class Base(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.level1 = CBR(3, c[0], 3, 2, eps=1e-5)
        self.level2_0 = Down(c[0], c[1], 13)
        self.level3_0 = Down(c[1], c[2], 11)
        self.level3 = nn.ModuleList(Eesp(c[2], c[2], 9) for _ in range(3))
        self.level4_0 = Down(c[2], c[3], 9)
        self.level4 = nn.ModuleList(Eesp(c[3], c[3], 7) for _ in range(7))


class Shuffle(nn.Module):
    def forward(self, x):
        b, c, h, w = x.shape
        return x.view(b, 5, c // 5, h, w).transpose(1, 2).reshape(b, c, h, w)


class CbrList(nn.Module):
    def __init__(self, *layers, name):
        super().__init__()
        setattr(self, name, nn.Sequential(*layers))
        self.name = name

    def forward(self, x):
        return getattr(self, self.name)(x)


def cbr(a, b, k, g=1):
    return CbrList(conv(a, b, k, g=g), nn.BatchNorm2d(b), nn.PReLU(b), name="cbr")


def br(n):
    return CbrList(nn.BatchNorm2d(n), nn.PReLU(n), name="br")


def bilinear(x, size):
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


class Pyramid(nn.Module):
    SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)

    def __init__(self, a, n, b, last=False):
        super().__init__()
        self.stages = nn.ModuleList(conv(n, n, 3, g=n) for _ in range(5))
        self.projection_layer = cbr(a, n, 1)
        self.merge_layer = nn.Sequential(br(5 * n), Shuffle(), cbr(5 * n, n, 3, n), conv(n, b, 1, bias=last))
        self.br = nn.Identity() if last else br(b)

    def forward(self, x):
        x = self.projection_layer(x)
        size = x.shape[2:]
        parts = []
        for scale, stage in zip(self.SCALES, self.stages):
            small = [max(5, math.ceil(side * scale)) for side in size]
            if scale < 1:
                parts.append(bilinear(stage(F.adaptive_avg_pool2d(x, small)), size))
            elif scale > 1:
                parts.append(F.adaptive_avg_pool2d(stage(bilinear(x, small)), size))
            else:
                parts.append(stage(x))
        return self.br(self.merge_layer(torch.cat(parts, 1)))


class Pointwise(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.wt_layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(a, b, 1), nn.Sigmoid())
        self.expansion_layer = cbr(a, b, 3, math.gcd(a, b))

    def forward(self, x):
        return self.expansion_layer(x) * self.wt_layer(x)


class EspNetV2(nn.Module):
    def __init__(self, state):
        super().__init__()
        shape = lambda name: state[name].shape
        c = [shape(f"base_net.{name}.weight")[0] for name in ("level1.act", "level2_0.act", "level3_0.act", "level4_0.act")]
        classes = shape("bu_dec_l4.merge_layer.3.weight")[0]
        d = [shape(f"bu_dec_l{i}.merge_layer.3.weight")[0] for i in (1, 2, 3)]
        n = shape("bu_dec_l1.stages.0.weight")[0]
        self.base_net = Base(c)
        self.bu_dec_l1 = Pyramid(c[3], n, d[0])
        self.bu_dec_l2 = Pyramid(d[0], n, d[1])
        self.bu_dec_l3 = Pyramid(d[1], n, d[2])
        self.bu_dec_l4 = Pyramid(d[2], n, classes, last=True)
        self.merge_enc_dec_l2 = Pointwise(c[2], d[0])
        self.merge_enc_dec_l3 = Pointwise(c[1], d[1])
        self.merge_enc_dec_l4 = Pointwise(c[0], d[2])
        seq = lambda n: nn.Sequential(nn.BatchNorm2d(n), nn.PReLU(n))
        self.bu_br_l2, self.bu_br_l3, self.bu_br_l4 = seq(d[0]), seq(d[1]), seq(d[2])

    def forward(self, x):
        b = self.base_net
        one = b.level1(x)
        two = b.level2_0(one, x)
        three = b.level3_0(two, x)
        for layer in b.level3:
            three = layer(three)
        four = b.level4_0(three, x)
        for layer in b.level4:
            four = layer(four)
        double = lambda y: bilinear(y, [2 * side for side in y.shape[2:]])
        y = self.bu_dec_l1(four)
        y = self.bu_dec_l2(self.bu_br_l2(self.merge_enc_dec_l2(three) + double(y)))
        y = self.bu_dec_l3(self.bu_br_l3(self.merge_enc_dec_l3(two) + double(y)))
        return self.bu_dec_l4(self.bu_br_l4(self.merge_enc_dec_l4(one) + double(y)))


def load(path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    if "encoder.classifier.conv.weight" in state:
        classes = state["encoder.classifier.conv.weight"].shape[0]
        network = EspNet(classes, state["conv.conv.weight"].shape[1] - classes)
    else:
        network = EspNetV2(state)
    network.load_state_dict(state)
    return network.eval()


def picture(height, width):
    """Values 0 to 1 that every language computes alike."""
    c = torch.arange(3).view(3, 1, 1)
    y = torch.arange(height).view(1, height, 1)
    x = torch.arange(width).view(1, 1, width)
    return (((7 * c + 5 * y + 3 * x + c * x * y) % 32) / 31.0)[None]


def show(name, values):
    print(f"{name}: {tuple(values.shape)} mean {values.mean():.6g}, mean square {values.square().mean():.6g}")
    picked = values.flatten()[:: max(1, values.numel() // 12)][:12]
    print("    [" + ", ".join(f"{value:.6g}" for value in picked) + "]")


def camvid(network, folder, mean, std, limit=None):
    import numpy
    from PIL import Image

    classes = 11
    hits = torch.zeros(classes, classes, dtype=torch.long)
    for path in sorted((folder / "test").iterdir())[:limit]:
        x = torch.from_numpy(numpy.asarray(Image.open(path).convert("RGB")).copy()).float().permute(2, 0, 1)
        x = ((x.flip(0) - mean) / std / 255)[None]
        found = network(x)[0, :classes].argmax(0)
        true = torch.from_numpy(numpy.asarray(Image.open(folder / "testannot" / path.name)).copy()).long()
        known = true < classes
        hits += torch.bincount(true[known] * classes + found[known], minlength=classes**2).view(classes, classes)
    good = hits.diag()
    iou = good / (hits.sum(0) + hits.sum(1) - good).clamp(min=1)
    print("IoU", " ".join(f"{value:.3f}" for value in iou), f"mean {iou.mean():.4f}, pixels {good.sum() / hits.sum():.4f}")


@torch.no_grad()
def main():
    espnet, edgenets = map(pathlib.Path, sys.argv[1:3])
    files = sorted(espnet.glob("*.pth")) + sorted(edgenets.glob("*.pth"))
    for path in files:
        show(path.name, load(path)(picture(64, 96) - 0.5))
    if len(sys.argv) > 3:
        import numpy
        from PIL import Image

        folder = pathlib.Path(sys.argv[3])
        train = numpy.stack([numpy.asarray(Image.open(p).convert("RGB"))[::4, ::4] for p in sorted((folder / "train").iterdir())])
        mean = torch.tensor(train.reshape(-1, 3).mean(0)[::-1].copy()).float().view(3, 1, 1)
        std = torch.tensor(train.reshape(-1, 3).std(0)[::-1].copy()).float().view(3, 1, 1)
        print("mean, deviation of blue, green, red:", mean.flatten().tolist(), std.flatten().tolist())
        camvid(load(espnet / "espnet_p_2_q_8_camvid.pth"), folder, mean, std)


if __name__ == "__main__":
    main()
