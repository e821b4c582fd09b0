// Against a real air with hardly any noise: `air_test TRANSMIT RECEIVE RATE`, and `… RATE paced` for one that is paced; run by with_air.sh.
#include <chrono>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <SoapySDR/Constants.h>
#include <SoapySDR/Device.hpp>
#include <SoapySDR/Errors.h>

#include "check.hpp"

namespace {

using Sample = std::complex<float>;

double rate_hz;

// A device with both streams running.
struct Bench {
    SoapySDR::Device *device;
    SoapySDR::Stream *rx;
    SoapySDR::Stream *tx;

    Bench(SoapySDR::Kwargs arguments, const std::string &tx_format) {
        device = SoapySDR::Device::make(arguments);
        device->setSampleRate(SOAPY_SDR_TX, 0, rate_hz);
        rx = device->setupStream(SOAPY_SDR_RX, "CF32");
        tx = device->setupStream(SOAPY_SDR_TX, tx_format);
        expect(device->activateStream(rx) == 0 && device->activateStream(tx) == 0, "both streams start");
    }

    ~Bench() {
        device->closeStream(rx);
        device->closeStream(tx);
        SoapySDR::Device::unmake(device);
    }

    void write(const void *samples, std::size_t count, std::size_t bytes_each, int flags, long long time) {
        const auto *at = static_cast<const char *>(samples);
        while (count > 0) {
            const void *buffers[] = {at};
            int now = flags;
            const int taken = device->writeStream(tx, buffers, count, now, time, 1'000'000);
            expect(taken > 0, "a device takes samples within a second");
            at += static_cast<std::size_t>(taken) * bytes_each;
            count -= static_cast<std::size_t>(taken);
            flags &= ~SOAPY_SDR_HAS_TIME;
        }
    }

    // Code, flags and time of the next event.
    int status(int &flags, long long &time) {
        size_t channels = 0;
        return device->readStreamStatus(tx, channels, flags, time, 20'000'000);
    }
};

// A stretch of samples louder than half.
struct Heard {
    long long time_ns = 0;
    std::size_t samples = 0;
    float level = 0.0F;
};

// Reads until a burst has come and gone.
Heard hear(Bench &bench) {
    std::vector<Sample> samples(1000);
    Heard heard;
    for (int call = 0; call < 2000; call++) {
        void *buffers[] = {samples.data()};
        int flags = 0;
        long long time = 0;
        const int count = bench.device->readStream(bench.rx, buffers, samples.size(), flags, time, 1'000'000);
        if (count == SOAPY_SDR_TIMEOUT) {
            // A machine that is busy with other things.
            continue;
        }
        expect(count > 0, "samples without a gap");
        expect((flags & SOAPY_SDR_HAS_TIME) != 0, "every read has a time");
        for (int i = 0; i < count; i++) {
            if (std::abs(samples[i]) > 0.5F) {
                if (heard.samples == 0) {
                    heard.time_ns = time + std::llround(i * 1e9 / rate_hz);
                    heard.level = std::abs(samples[i]);
                }
                heard.samples += 1;
            } else if (heard.samples > 0) {
                return heard;
            }
        }
    }
    expect(false, "a burst is heard");
    return heard;
}

void timed_bursts_are_exact(const SoapySDR::Kwargs &arguments) {
    Bench bench(arguments, "CF32");
    const std::vector<Sample> burst(5000, {1.0F, 0.0F});
    for (const long long ahead_ns : {1'000'000LL, 3'333'333LL, 20'000'000LL}) {
        const long long asked = bench.device->getHardwareTime() + ahead_ns;
        bench.write(burst.data(), burst.size(), 8, SOAPY_SDR_HAS_TIME | SOAPY_SDR_END_BURST, asked);
        const Heard heard = hear(bench);
        expect(heard.samples == burst.size(), "a burst is as long as it was");
        expect(std::llabs(heard.time_ns - asked) <= std::llround(0.5e9 / rate_hz) + 1, "it begins at its time, to the sample");
        int flags = 0;
        long long time = 0;
        expect(bench.status(flags, time) == 0, "a burst is acknowledged");
        expect(flags == (SOAPY_SDR_END_BURST | SOAPY_SDR_HAS_TIME), "with flags");
        const long long end = heard.time_ns + std::llround(burst.size() * 1e9 / rate_hz);
        expect(std::llabs(time - end) <= 2, "and the time of its end");
    }
    // What is past is not sent, and does no harm to what follows.
    int flags = 0;
    long long time = 0;
    bench.write(burst.data(), burst.size(), 8, SOAPY_SDR_HAS_TIME | SOAPY_SDR_END_BURST, 0);
    expect(bench.status(flags, time) == SOAPY_SDR_TIME_ERROR, "a late burst is told");
    bench.write(burst.data(), burst.size(), 8, SOAPY_SDR_END_BURST, 0);
    expect(hear(bench).samples == burst.size(), "the next burst is sent");
    expect(bench.status(flags, time) == 0 && flags == SOAPY_SDR_END_BURST, "and acknowledged");
}

void formats_keep_their_scale(const SoapySDR::Kwargs &arguments) {
    const std::vector<std::int8_t> bytes(2 * 3000, 127);
    Bench bench(arguments, "CS8");
    bench.write(bytes.data(), 3000, 2, SOAPY_SDR_END_BURST, 0);
    const Heard heard = hear(bench);
    expect(heard.samples == 3000 && std::fabs(heard.level - std::sqrt(2.0F)) < 0.01F, "127 is 1.0");
    bench.device->setGain(SOAPY_SDR_TX, 0, "PA", 6.0205999);
    bench.write(bytes.data(), 3000, 2, SOAPY_SDR_END_BURST, 0);
    expect(std::fabs(hear(bench).level - 2.0F * std::sqrt(2.0F)) < 0.02F, "6 dB are twice as much");
}

void a_burst_that_runs_dry_is_told(const SoapySDR::Kwargs &arguments) {
    Bench bench(arguments, "CF32");
    const std::vector<Sample> part(700, {1.0F, 0.0F});
    bench.write(part.data(), part.size(), 8, 0, 0);
    int flags = 0;
    long long time = 0;
    expect(bench.status(flags, time) == SOAPY_SDR_UNDERFLOW, "an underflow is told");
    expect(bench.status(flags, time) == 0, "the burst ends");
    expect(hear(bench).samples == part.size(), "what there was of it is sent");
}

// A program that does not read loses samples, learns of it once, and goes on at the right time.
void a_slow_program_is_told(SoapySDR::Kwargs arguments) {
    arguments["paced"] = "1";
    Bench bench(arguments, "CF32");
    const std::vector<Sample> burst(1'500'000, {1.0F, 0.0F});
    bench.write(burst.data(), burst.size(), 8, SOAPY_SDR_END_BURST, 0);
    int flags = 0;
    long long time = 0;
    int code = 0;
    do {
        code = bench.status(flags, time);
    } while (code == SOAPY_SDR_UNDERFLOW);
    expect(code == 0, "the burst is taken although nobody reads");
    std::vector<Sample> samples(4096);
    int overflows = 0;
    long long next = 0;
    while (true) {
        void *buffers[] = {samples.data()};
        const int count = bench.device->readStream(bench.rx, buffers, samples.size(), flags, time, 300'000);
        if (count == SOAPY_SDR_TIMEOUT) {
            break;
        }
        if (count == SOAPY_SDR_OVERFLOW) {
            overflows += 1;
            expect((flags & SOAPY_SDR_END_ABRUPT) != 0 && time > next, "an overflow tells the time behind it");
        } else {
            expect(count > 0, "samples");
            expect(next == 0 || overflows > 0 || std::llabs(time - next) <= 2, "no gap that is not told");
            if (overflows > 0 && next != 0) {
                expect(time >= next - 2, "time does not run back");
            }
        }
        if (count > 0) {
            next = time + std::llround(count * 1e9 / rate_hz);
        }
    }
    expect(overflows >= 1, "an overflow is told");
}

// Seven buffers of growing loudness: four are silence at the beginning, the last is cut off, two are heard.
void a_hackrf_loses_head_and_tail(SoapySDR::Kwargs arguments) {
    constexpr std::size_t BUFFER = 131072;
    Bench bench(arguments, "CF32");
    arguments["personality"] = "hackrf";
    auto *hackrf = SoapySDR::Device::make(arguments);
    expect(!hackrf->hasHardwareTime() && !hackrf->getFullDuplex(SOAPY_SDR_TX, 0), "half duplex, no time");
    hackrf->setSampleRate(SOAPY_SDR_TX, 0, rate_hz);
    hackrf->setGain(SOAPY_SDR_TX, 0, "VGA", 20.0);
    std::thread writer([&] {
        auto *tx = hackrf->setupStream(SOAPY_SDR_TX, "CS8");
        expect(hackrf->getStreamMTU(tx) == BUFFER, "buffers of a HackRF");
        expect(hackrf->activateStream(tx) == 0, "it starts");
        auto *rx = hackrf->setupStream(SOAPY_SDR_RX, "CS8");
        expect(hackrf->activateStream(rx) != 0, "one direction at a time");
        for (int number = 1; number <= 7; number++) {
            const std::vector<std::int8_t> samples(2 * BUFFER, static_cast<std::int8_t>(18 * number));
            std::size_t written = 0;
            while (written < BUFFER) {
                const void *buffers[] = {samples.data() + 2 * written};
                // What HackRF does not know: ignored.
                int flags = SOAPY_SDR_END_BURST | SOAPY_SDR_HAS_TIME;
                const int taken = hackrf->writeStream(tx, buffers, BUFFER - written, flags, 1, 20'000'000);
                expect(taken > 0, "samples are taken");
                written += static_cast<std::size_t>(taken);
            }
        }
        hackrf->closeStream(rx);
        hackrf->closeStream(tx);
    });
    const Heard heard = hear(bench);
    writer.join();
    SoapySDR::Device::unmake(hackrf);
    expect(heard.samples == 2 * BUFFER, "two buffers of seven are heard");
    expect(std::fabs(heard.level - 18.0F * 5.0F / 127.0F * std::sqrt(2.0F)) < 0.02F, "beginning with the fifth");
}

// At the pace of the clock: a program that is late with its samples, or does not read, is told.
void the_clock_does_not_wait(SoapySDR::Kwargs arguments) {
    arguments["paced"] = "1";
    Bench bench(arguments, "CF32");
    const std::vector<Sample> part(static_cast<std::size_t>(rate_hz / 100.0), {1.0F, 0.0F});
    bench.write(part.data(), part.size(), 8, 0, 0);
    int flags = 0;
    long long time = 0;
    expect(bench.status(flags, time) == SOAPY_SDR_UNDERFLOW, "an underflow is told");
    bench.write(part.data(), part.size(), 8, SOAPY_SDR_END_BURST, 0);
    int code = 0;
    do {
        code = bench.status(flags, time);
    } while (code == SOAPY_SDR_UNDERFLOW);
    expect(code == 0 && (flags & SOAPY_SDR_END_BURST) != 0, "and the burst goes on to its end");

    std::vector<Sample> samples(4096);
    void *buffers[] = {samples.data()};
    const long long begun = bench.device->getHardwareTime();
    // Until more has passed than any buffer holds.
    while (bench.device->getHardwareTime() - begun < 1'000'000'000) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    long long before = 0;
    for (int call = 0; call < 10'000; call++) {
        code = bench.device->readStream(bench.rx, buffers, samples.size(), flags, time, 20'000'000);
        if (code == SOAPY_SDR_OVERFLOW) {
            expect((flags & SOAPY_SDR_HAS_TIME) != 0 && time > before, "an overflow tells the time behind it");
            code = bench.device->readStream(bench.rx, buffers, samples.size(), flags, before, 20'000'000);
            expect(code > 0 && before == time, "where the stream goes on");
            return;
        }
        expect(code > 0, "samples");
        before = time;
    }
    expect(false, "an overflow is told");
}

void wrong_settings_are_refused(const SoapySDR::Kwargs &arguments) {
    auto *device = SoapySDR::Device::make(arguments);
    int refused = 0;
    try {
        device->setSampleRate(SOAPY_SDR_RX, 0, rate_hz * 2.0);
    } catch (const std::exception &error) {
        refused += std::string(error.what()).find("the air runs at") != std::string::npos ? 1 : 0;
    }
    for (const char *format : {"CF64", "CS12", ""}) {
        try {
            device->setupStream(SOAPY_SDR_RX, format);
        } catch (const std::exception &) {
            refused += 1;
        }
    }
    SoapySDR::Device::unmake(device);
    for (const char *value : {"", "7", "x"}) {
        auto wrong = arguments;
        wrong["paced"] = value;
        try {
            SoapySDR::Device::unmake(SoapySDR::Device::make(wrong));
        } catch (const std::exception &) {
            refused += 1;
        }
    }
    expect(refused == 7, "wrong rates, formats and arguments are refused");
}

} // namespace

int main(int count, char **words) {
    expect(count == 4 || count == 5, "three arguments, and `paced` for an air that is");
    rate_hz = std::atof(words[3]);
    const SoapySDR::Kwargs arguments = {{"driver", "semcast-air"}, {"transmit", words[1]}, {"receive", words[2]},
        {"silence_ms", "10000"}};
    if (count == 5) {
        the_clock_does_not_wait(arguments);
        std::puts("device on a paced air: ok");
        return 0;
    }
    wrong_settings_are_refused(arguments);
    timed_bursts_are_exact(arguments);
    formats_keep_their_scale(arguments);
    a_burst_that_runs_dry_is_told(arguments);
    a_slow_program_is_told(arguments);
    a_hackrf_loses_head_and_tail(arguments);
    std::puts("device: ok");
    return 0;
}
