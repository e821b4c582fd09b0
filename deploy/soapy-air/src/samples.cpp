#include "samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace air {
namespace {

template <typename T> void read_integers(const void *buffer, std::size_t count, float scale, Sample *out) {
    const auto *values = static_cast<const T *>(buffer);
    for (std::size_t i = 0; i < count; i++) {
        out[i] = {static_cast<float>(values[2 * i]) * scale, static_cast<float>(values[2 * i + 1]) * scale};
    }
}

template <typename T> T saturated(float value, float largest) {
    // Written so that what is no number becomes 0.
    const float kept = std::isfinite(value) ? std::clamp(value, -largest, largest) : 0.0F;
    return static_cast<T>(std::lrint(kept));
}

template <typename T>
void write_integers(const Sample *samples, std::size_t count, float gain, float largest, T *values) {
    for (std::size_t i = 0; i < count; i++) {
        values[2 * i] = saturated<T>(samples[i].real() * gain * largest, largest);
        values[2 * i + 1] = saturated<T>(samples[i].imag() * gain * largest, largest);
    }
}

} // namespace

Format format_of(const std::string &name) {
    if (name == "CF32") {
        return Format::cf32;
    }
    if (name == "CS16") {
        return Format::cs16;
    }
    if (name == "CS8") {
        return Format::cs8;
    }
    throw std::runtime_error("semcast-air: format " + name + " is not known: there are CF32, CS16 and CS8");
}

std::size_t bytes_of(Format format) {
    switch (format) {
    case Format::cf32: return 8;
    case Format::cs16: return 4;
    default: return 2;
    }
}

double full_scale(Format format) {
    switch (format) {
    case Format::cf32: return 1.0;
    case Format::cs16: return 32767.0;
    default: return 127.0;
    }
}

void from_host(const void *buffer, Format format, std::size_t count, float gain, Sample *out) {
    switch (format) {
    case Format::cf32: {
        const auto *samples = static_cast<const Sample *>(buffer);
        for (std::size_t i = 0; i < count; i++) {
            out[i] = samples[i] * gain;
        }
        break;
    }
    case Format::cs16: read_integers<std::int16_t>(buffer, count, gain / 32767.0F, out); break;
    case Format::cs8: read_integers<std::int8_t>(buffer, count, gain / 127.0F, out); break;
    }
}

void to_host(const Sample *samples, std::size_t count, float gain, Format format, void *buffer, std::size_t offset) {
    switch (format) {
    case Format::cf32: {
        auto *out = static_cast<Sample *>(buffer) + offset;
        for (std::size_t i = 0; i < count; i++) {
            out[i] = samples[i] * gain;
        }
        break;
    }
    case Format::cs16:
        write_integers(samples, count, gain, 32767.0F, static_cast<std::int16_t *>(buffer) + 2 * offset);
        break;
    case Format::cs8:
        write_integers(samples, count, gain, 127.0F, static_cast<std::int8_t *>(buffer) + 2 * offset);
        break;
    }
}

void quantise_8_bit(Sample *samples, std::size_t count) {
    const auto step = [](float value) { return static_cast<float>(saturated<int>(value * 127.0F, 127.0F)) / 127.0F; };
    for (std::size_t i = 0; i < count; i++) {
        samples[i] = {step(samples[i].real()), step(samples[i].imag())};
    }
}

} // namespace air
