#include "datagram.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace air {
namespace {

constexpr std::uint8_t MAGIC[4] = {'S', 'C', 'A', '1'};
constexpr std::uint8_t VERSION = 1;
constexpr std::uint64_t LARGEST_INDEX = std::uint64_t{1} << 62;
constexpr float LARGEST_SAMPLE = 1e6F;

// Little endian whatever the machine is.
template <typename T> T get(const std::uint8_t *bytes) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); i++) {
        value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[i]) << (8 * i)));
    }
    return value;
}

template <typename T> void put(std::uint8_t *bytes, T value) {
    for (std::size_t i = 0; i < sizeof(T); i++) {
        bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
}

double get_double(const std::uint8_t *bytes) {
    const auto bits = get<std::uint64_t>(bytes);
    double value = 0.0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

float get_float(const std::uint8_t *bytes) {
    const auto bits = get<std::uint32_t>(bytes);
    float value = 0.0F;
    std::memcpy(&value, &bits, sizeof value);
    // Also false for what is no number.
    return std::fabs(value) <= LARGEST_SAMPLE ? value : 0.0F;
}

std::size_t sample_bytes(std::uint8_t format) {
    switch (format) {
    case 1: return 8;
    case 2: return 4;
    case 3: return 2;
    default: return 0;
    }
}

} // namespace

std::optional<Datagram> parse(const std::uint8_t *bytes, std::size_t size) {
    if (size < HEADER_BYTES || std::memcmp(bytes, MAGIC, sizeof MAGIC) != 0 || bytes[4] != VERSION) {
        return std::nullopt;
    }
    const std::size_t each = sample_bytes(bytes[7]);
    if (bytes[5] < 1 || bytes[5] > 5 || each == 0) {
        return std::nullopt;
    }
    Header header;
    header.kind = static_cast<Kind>(bytes[5]);
    header.flags = bytes[6];
    header.format = bytes[7];
    header.stream = get<std::uint32_t>(bytes + 8);
    header.session = get<std::uint32_t>(bytes + 12);
    header.peer_session = get<std::uint32_t>(bytes + 16);
    header.count = get<std::uint16_t>(bytes + 20);
    header.first_sample = get<std::uint64_t>(bytes + 24);
    header.limit = get<std::uint64_t>(bytes + 32);
    header.sample_rate_hz = get_double(bytes + 40);
    const bool holds_samples = header.kind == Kind::samples;
    if (header.count > MAX_SAMPLES || (header.count > 0) != holds_samples) {
        return std::nullopt;
    }
    if (size != HEADER_BYTES + header.count * each) {
        return std::nullopt;
    }
    if (!(header.sample_rate_hz > 0.0) || !std::isfinite(header.sample_rate_hz)) {
        return std::nullopt;
    }
    if (header.first_sample > LARGEST_INDEX || header.limit > LARGEST_INDEX) {
        return std::nullopt;
    }
    return Datagram{header, bytes + HEADER_BYTES};
}

void read_samples(const Datagram &datagram, std::vector<Sample> &out) {
    const std::uint8_t *at = datagram.payload;
    for (std::size_t i = 0; i < datagram.header.count; i++) {
        switch (datagram.header.format) {
        case 1:
            out.emplace_back(get_float(at), get_float(at + 4));
            at += 8;
            break;
        case 2:
            out.emplace_back(static_cast<float>(static_cast<std::int16_t>(get<std::uint16_t>(at))) / 32767.0F,
                static_cast<float>(static_cast<std::int16_t>(get<std::uint16_t>(at + 2))) / 32767.0F);
            at += 4;
            break;
        default:
            out.emplace_back(static_cast<float>(static_cast<std::int8_t>(at[0])) / 127.0F,
                static_cast<float>(static_cast<std::int8_t>(at[1])) / 127.0F);
            at += 2;
        }
    }
}

void compose(const Header &header, const Sample *samples, std::size_t count, std::vector<std::uint8_t> &out) {
    count = std::min(count, MAX_SAMPLES);
    out.assign(HEADER_BYTES + 8 * count, 0);
    std::uint8_t *bytes = out.data();
    std::memcpy(bytes, MAGIC, sizeof MAGIC);
    bytes[4] = VERSION;
    bytes[5] = static_cast<std::uint8_t>(header.kind);
    bytes[6] = header.flags;
    bytes[7] = 1;
    put(bytes + 8, header.stream);
    put(bytes + 12, header.session);
    put(bytes + 16, header.peer_session);
    put(bytes + 20, static_cast<std::uint16_t>(count));
    // No sound air gets there; one that names such indices is not answered with worse.
    put(bytes + 24, std::min(header.first_sample, LARGEST_INDEX));
    put(bytes + 32, std::min(header.limit, LARGEST_INDEX));
    std::uint64_t rate = 0;
    std::memcpy(&rate, &header.sample_rate_hz, sizeof rate);
    put(bytes + 40, rate);
    for (std::size_t i = 0; i < count; i++) {
        const float parts[2] = {samples[i].real(), samples[i].imag()};
        for (std::size_t part = 0; part < 2; part++) {
            std::uint32_t bits = 0;
            std::memcpy(&bits, &parts[part], sizeof bits);
            put(bytes + HEADER_BYTES + 8 * i + 4 * part, bits);
        }
    }
}

} // namespace air
