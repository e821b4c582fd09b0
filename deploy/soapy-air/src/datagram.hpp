// The datagrams between radios and the air: docs/PROTOCOL.md, "Air datagrams". Bytes ↔ header and samples, without sockets.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace air {

using Sample = std::complex<float>;

constexpr std::size_t HEADER_BYTES = 48;
constexpr std::size_t MAX_SAMPLES = 1024;
constexpr std::size_t MAX_DATAGRAM_BYTES = HEADER_BYTES + 8 * MAX_SAMPLES;
// Samples in a datagram to a loopback address, and to others: it fits into an Ethernet frame.
constexpr std::size_t LOOPBACK_SAMPLES = 960;
constexpr std::size_t NETWORK_SAMPLES = 176;

enum class Kind : std::uint8_t { samples = 1, hello = 2, credit = 3, goodbye = 4, status = 5 };

namespace flag {
constexpr std::uint8_t START_OF_BURST = 1;
constexpr std::uint8_t END_OF_BURST = 2;
constexpr std::uint8_t DISCONTINUITY = 4;
constexpr std::uint8_t ESTABLISHED = 8;
} // namespace flag

// The fields before the samples. This module sends cf32, and reads all three formats.
struct Header {
    Kind kind = Kind::hello;
    std::uint8_t flags = 0;
    std::uint8_t format = 1;
    std::uint32_t stream = 0;
    std::uint32_t session = 0;
    std::uint32_t peer_session = 0;
    std::uint16_t count = 0;
    std::uint64_t first_sample = 0;
    std::uint64_t limit = 0;
    double sample_rate_hz = 0.0;
};

struct Datagram {
    Header header;
    const std::uint8_t *payload = nullptr; // header.count samples of header.format, inside the bytes that were parsed
};

// Reads a datagram; nothing if the bytes are not one. Looks at nothing but the `size` bytes given.
std::optional<Datagram> parse(const std::uint8_t *bytes, std::size_t size);

// Appends the samples. What is no number, or beyond 10⁶, is read as 0.
void read_samples(const Datagram &datagram, std::vector<Sample> &out);

// Replaces `out` by a datagram with these cf32 samples, at most MAX_SAMPLES.
void compose(const Header &header, const Sample *samples, std::size_t count, std::vector<std::uint8_t> &out);

} // namespace air
