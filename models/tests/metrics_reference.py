"""Constants for the tests of models/src/metrics, made with PyTorch and NumPy.

Needs torch and numpy, no files: weights and pictures follow from a formula that the tests have, too.

    python models/tests/metrics_reference.py
"""

import math

import numpy as np
import torch
import torch.nn.functional as F


def scattered(count, salt):
    """Numbers of 0 to 1 that look random."""
    at = np.arange(count, dtype=np.uint64)
    mixed = (at * 2654435761 + salt * 97787) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    mixed = (mixed * 2246822519) & 0xFFFFFFFF
    mixed ^= mixed >> 13
    return (mixed >> 8).astype(np.float32) / np.float32(1 << 24)


def picture(width, height):
    y, x, c = np.mgrid[:height, :width, :3]
    noise = (scattered(width * height * 3, 999).reshape(height, width, 3) * 32).astype(int)
    return ((x * 3 + y * 2 + c * 40 + noise) % 256).astype(np.uint8)


def coarse(rgb):
    return (rgb >> 4 << 4) + 8


FIRES = [(64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128),
         (256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)]
CHANNELS = [64, 128, 256, 384, 384, 512, 512]


def convolutions():
    shapes = [(64, 3, 3, 3)]
    for inputs, squeezed, expanded in FIRES:
        shapes += [(squeezed, inputs, 1, 1), (expanded, squeezed, 1, 1), (expanded, squeezed, 3, 3)]
    for salt, shape in enumerate(shapes):
        inputs = shape[1] * shape[2] * shape[3]
        bound = np.float32(math.sqrt(6 / inputs))
        weight = (scattered(math.prod(shape), salt) * 2 - 1) * bound
        bias = scattered(shape[0], 100 + salt) * np.float32(0.1)
        yield torch.tensor(weight).reshape(shape).double(), torch.tensor(bias).double()


def features(rgb):
    shift = torch.tensor([-.030, -.088, -.188]).reshape(1, 3, 1, 1)
    scale = torch.tensor([.458, .448, .450]).reshape(1, 3, 1, 1)
    x = torch.tensor(rgb).permute(2, 0, 1)[None].double() / 255 * 2 - 1
    x = (x - shift) / scale
    layers = convolutions()
    weight, bias = next(layers)
    x = F.relu(F.conv2d(x, weight, bias, stride=2))
    taps = [x]
    for at in range(len(FIRES)):
        if at in (0, 2, 4):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = F.relu(F.conv2d(x, *next(layers)))
        one, three = next(layers), next(layers)
        x = torch.cat([F.relu(F.conv2d(x, *one)), F.relu(F.conv2d(x, *three, padding=1))], 1)
        if at not in (0, 2):
            taps.append(x)
    return taps


def lpips(first, second):
    total = 0
    for at, (a, b) in enumerate(zip(features(first), features(second))):
        a = a / (a.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        b = b / (b.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        linear = torch.tensor(scattered(CHANNELS[at], 200 + at)).reshape(1, -1, 1, 1).double()
        total += ((a - b).pow(2) * linear).sum(1).mean()
    return total.item()


SHAPES = np.arange(0.2, 10.0005, 0.001)
gamma = np.vectorize(math.gamma)
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


def fit(values):
    left = math.sqrt(np.mean(values[values < 0] ** 2))
    right = math.sqrt(np.mean(values[values > 0] ** 2))
    ratio = np.mean(abs(values)) ** 2 / np.mean(values ** 2)
    g = left / right
    ratio *= (g ** 3 + 1) * (g + 1) / (g ** 2 + 1) ** 2
    shape = SHAPES[np.argmin((RATIOS - ratio) ** 2)]
    scale = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    return shape, left * scale, right * scale


def describe(block):
    shape, left, right = fit(block)
    found = [shape, (left + right) / 2]
    for shift in [(0, 1), (1, 0), (1, 1), (1, -1)]:
        shape, left, right = fit(block * np.roll(block, shift, (0, 1)))
        found += [shape, (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape), left, right]
    return found


def halving(length):
    """A matrix that halves a line: cubic interpolation over twice the width, mirrored ends."""
    matrix = np.zeros((length // 2, length))
    for row in range(length // 2):
        for column in range(2 * row - 3, 2 * row + 5):
            d = abs(column - (2 * row + 0.5)) / 2
            weight = 1.5 * d ** 3 - 2.5 * d ** 2 + 1 if d <= 1 else -.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2
            column = -1 - column if column < 0 else 2 * length - 1 - column if column >= length else column
            matrix[row, column] += weight
    return matrix / matrix.sum(1, keepdims=True)


def niqe(rgb):
    """With a mean of zero, a covariance of one, and a window whose weights fall to 0.6 from pixel to pixel."""
    line = 0.6 ** abs(np.arange(-3.0, 4.0))
    window = np.outer(line, line) / line.sum() ** 2
    luma = np.floor(16 + rgb @ np.array([65.481, 128.553, 24.966]) / 255 + 0.5)
    rows, columns = luma.shape[0] // 96, luma.shape[1] // 96
    luma = luma[:rows * 96, :columns * 96]
    scales = []
    for side in (96, 48):
        around = np.lib.stride_tricks.sliding_window_view(np.pad(luma, 3, mode="edge"), (7, 7))
        mean, square = (around * window).sum((2, 3)), (around ** 2 * window).sum((2, 3))
        normal = (luma - mean) / (np.sqrt(abs(square - mean ** 2)) + 1)
        scales.append([describe(normal[y * side:(y + 1) * side, x * side:(x + 1) * side])
                       for y in range(rows) for x in range(columns)])
        luma = halving(luma.shape[0]) @ luma @ halving(luma.shape[1]).T
    figures = np.concatenate(scales, 1)
    mean = figures.mean(0)
    return math.sqrt(mean @ np.linalg.pinv((np.eye(36) + np.cov(figures, rowvar=False)) / 2) @ mean)


if __name__ == "__main__":
    for width, height in [(70, 53), (17, 17), (130, 64)]:
        original = picture(width, height)
        pooled = features(original)[-1].mean((2, 3))[0]
        print(f"{width} x {height}: LPIPS {lpips(original, coarse(original)):.8f}, pooled features "
              f"0: {pooled[0]:.6f}, 200: {pooled[200]:.6f}, 511: {pooled[511]:.6f}, mean {pooled.mean():.6f}")
    print(f"NIQE of 300 x 200: {niqe(picture(300, 200)):.8f}, coarse {niqe(coarse(picture(300, 200))):.8f}")
