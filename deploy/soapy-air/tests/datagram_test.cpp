// The parser of datagrams: what was written is read, and no bytes whatever do harm. Run under -fsanitize=address,undefined by .ci/run.
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "datagram.hpp"
#include "samples.hpp"

namespace {

air::Header header_of(air::Kind kind) {
    air::Header header;
    header.kind = kind;
    header.flags = air::flag::START_OF_BURST;
    header.stream = 7;
    header.session = 0xFEDCBA98U;
    header.peer_session = 3;
    header.first_sample = 0x0123456789ABCDEFULL;
    header.limit = std::uint64_t{1} << 62;
    header.sample_rate_hz = 7.68e6;
    return header;
}

// The bytes of docs/PROTOCOL.md, written out by hand.
void layout() {
    const air::Sample sample(1.0F, -0.5F);
    std::vector<std::uint8_t> bytes;
    air::compose(header_of(air::Kind::samples), &sample, 1, bytes);
    const std::vector<std::uint8_t> expected = {'S', 'C', 'A', '1', 1, 1, 1, 1, 7, 0, 0, 0, 0x98, 0xBA, 0xDC, 0xFE, 3, 0, 0, 0,
        1, 0, 0, 0, 0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0x4C, 0x5D, 0x41,
        0, 0, 0x80, 0x3F, 0, 0, 0, 0xBF};
    expect(bytes == expected, "the layout is that of docs/PROTOCOL.md");
    const auto read = air::parse(bytes.data(), bytes.size());
    expect(read.has_value() && read->header.count == 1 && read->header.limit == std::uint64_t{1} << 62, "header");
    std::vector<air::Sample> samples;
    air::read_samples(*read, samples);
    expect(samples.size() == 1 && samples[0] == sample, "samples");
}

void refusals() {
    std::vector<std::uint8_t> bytes;
    air::compose(header_of(air::Kind::hello), nullptr, 0, bytes);
    expect(air::parse(bytes.data(), bytes.size()).has_value(), "a hello");
    for (std::size_t size = 0; size < bytes.size(); size++) {
        const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
        expect(!air::parse(cut.data(), cut.size()), "a datagram that was cut off is refused");
    }
    for (const std::size_t at : {0U, 4U, 5U, 7U, 20U, 31U, 39U}) {
        auto wrong = bytes;
        wrong[at] = 0xFF;
        expect(!air::parse(wrong.data(), wrong.size()), "a field out of range is refused");
    }
    auto rate = header_of(air::Kind::hello);
    for (const double value : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
        rate.sample_rate_hz = value;
        air::compose(rate, nullptr, 0, bytes);
        expect(!air::parse(bytes.data(), bytes.size()), "a rate that is no positive number is refused");
    }
}

void junk() {
    std::mt19937 random(1);
    std::vector<std::uint8_t> sound;
    const std::vector<air::Sample> samples(40, {0.5F, -0.5F});
    air::compose(header_of(air::Kind::samples), samples.data(), samples.size(), sound);
    std::size_t parsed = 0;
    for (int round = 0; round < 200'000; round++) {
        std::vector<std::uint8_t> bytes = sound;
        if (round % 2 == 0) {
            bytes.resize(random() % 600);
            for (auto &byte : bytes) {
                byte = static_cast<std::uint8_t>(random());
            }
        } else {
            for (unsigned edits = random() % 4; edits > 0; edits--) {
                bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
            }
            if (random() % 4 == 0) {
                bytes.resize(random() % (bytes.size() + 1));
            }
        }
        const auto datagram = air::parse(bytes.data(), bytes.size());
        if (!datagram) {
            continue;
        }
        parsed += 1;
        std::vector<air::Sample> out;
        air::read_samples(*datagram, out);
        expect(out.size() == datagram->header.count, "as many samples as the header says");
        for (const auto &sample : out) {
            expect(std::isfinite(sample.real()) && std::isfinite(sample.imag()), "samples are numbers");
        }
    }
    expect(parsed > 10'000, "damage that does not matter is passed");
}

void integers() {
    const air::Sample samples[3] = {{1.0F, -1.0F}, {0.5F, 7.0F}, {NAN, -7.0F}};
    std::int16_t words[6];
    air::to_host(samples, 3, 1.0F, air::Format::cs16, words, 0);
    expect(words[0] == 32767 && words[1] == -32767 && words[2] == 16384 && words[3] == 32767 && words[4] == 0 &&
            words[5] == -32767,
        "integers saturate, and what is no number is 0");
    air::Sample back[3];
    air::from_host(words, air::Format::cs16, 3, 1.0F, back);
    expect(back[0] == air::Sample(1.0F, -1.0F), "full scale comes back");
}

} // namespace

int main() {
    layout();
    refusals();
    junk();
    integers();
    std::puts("datagrams: ok");
    return 0;
}
