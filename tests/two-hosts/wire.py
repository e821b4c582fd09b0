#!/usr/bin/env python3
"""A wire between two hosts, for kernels without netem: makes two TAP interfaces, says their names, and carries Ethernet frames
from each to the other, later and not all of them. Ends when its standard input is closed. Needs root.

usage: wire.py DELAY_THERE_MS DELAY_BACK_MS LOSS_PERCENT SEED
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

# From linux/if_tun.h.
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000


def tap():
    """A new TAP interface: its descriptor and its name."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", b"wire%d", IFF_TAP | IFF_NO_PI)
    answer = fcntl.ioctl(descriptor, TUNSETIFF, request)
    return descriptor, answer[:16].rstrip(b"\0").decode()


def main():
    delay_s = [float(argument) / 1e3 for argument in sys.argv[1:3]]
    loss = float(sys.argv[3]) / 100
    chance = random.Random(int(sys.argv[4]))
    ends = [tap(), tap()]
    print(*(name for _, name in ends), flush=True)
    descriptors = [descriptor for descriptor, _ in ends]
    # When a frame is due, its number (so that order is kept), where it goes, and itself.
    waiting = []
    count = 0
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([*descriptors, sys.stdin], [], [], pause)
        if sys.stdin in ready:
            return
        for side in (0, 1):
            if descriptors[side] not in ready:
                continue
            # Some at a time, so that neither side waits for the other.
            for _ in range(64):
                try:
                    frame = os.read(descriptors[side], 65536)
                except BlockingIOError:
                    break
                except OSError:
                    # The interface is down, which it is before the hosts have been set up.
                    time.sleep(0.01)
                    break
                if chance.random() < loss:
                    continue
                count += 1
                heapq.heappush(waiting, (time.monotonic() + delay_s[side], count, 1 - side, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, side, frame = heapq.heappop(waiting)
            try:
                os.write(descriptors[side], frame)
            except OSError:
                # The other side is down or full: a wire loses what nobody takes.
                pass


main()
