#!/usr/bin/env python3
"""GNU Radio joins the emulated air through ports without headers: a tone goes out, its level comes back.

    semcast air --pacing paced --config deploy/gnuradio/air.toml
    python3 deploy/gnuradio/air_loop.py

Needs GNU Radio 3.10 (Debian: gnuradio). With --check it runs for a few seconds without a window and exits with 0 if the tone
came back at the level that it left with, with 1 if not.
"""

import argparse
import math
import sys
import time

from gnuradio import analog, blocks, gr, network

SAMPLE_RATE = 200_000
TONE_HZ = 10_000
# Interleaved 32-bit floats, 184 samples a datagram, no header.
PAYLOAD_BYTES = 1472
NO_HEADER = 0


class AirLoop(gr.top_block):
    """Tone → UDP → air → UDP → level."""

    def __init__(self, to_air, from_air):
        super().__init__("semcast air loop")
        host, port = to_air.rsplit(":", 1)
        self.tone = analog.sig_source_c(SAMPLE_RATE, analog.GR_COS_WAVE, TONE_HZ, 1.0)
        # The air grants nothing: keep to the sample rate.
        self.throttle = blocks.throttle(gr.sizeof_gr_complex, SAMPLE_RATE)
        self.sink = network.udp_sink(
            gr.sizeof_gr_complex, 1, host, int(port), NO_HEADER, PAYLOAD_BYTES, False
        )
        self.source = network.udp_source(
            gr.sizeof_gr_complex, 1, int(from_air), NO_HEADER, PAYLOAD_BYTES, False, False, False
        )
        self.power = blocks.complex_to_mag_squared()
        self.mean = blocks.moving_average_ff(SAMPLE_RATE // 10, 10 / SAMPLE_RATE)
        self.probe = blocks.probe_signal_f()
        self.connect(self.tone, self.throttle, self.sink)
        self.connect(self.source, self.power, self.mean, self.probe)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to-air", default="127.0.0.1:4813", help="raw_input of the air")
    parser.add_argument("--from-air", default="4814", help="port of the air's raw_output")
    parser.add_argument("--check", action="store_true", help="exit with 0 if the tone comes back")
    arguments = parser.parse_args()
    loop = AirLoop(arguments.to_air, arguments.from_air)
    loop.start()
    levels = []
    try:
        for _ in range(5 if arguments.check else sys.maxsize):
            time.sleep(1)
            levels.append(10 * math.log10(max(loop.probe.level(), 1e-12)))
            print(f"level {levels[-1]:7.2f} dB", flush=True)
    except KeyboardInterrupt:
        pass
    loop.stop()
    loop.wait()
    if arguments.check:
        came_back = abs(levels[-1]) < 1.0
        print("the tone came back" if came_back else "the tone did not come back at its level")
        return 0 if came_back else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
