// Samples in the formats that programs ask for: CF32, CS16, CS8.
#pragma once

#include <cstddef>
#include <string>

#include "datagram.hpp"

namespace air {

enum class Format { cf32, cs16, cs8 };

// Throws std::runtime_error for a format that this device does not have.
Format format_of(const std::string &name);

std::size_t bytes_of(Format format);

// Full scale of integers: ±1.0 is ±127, ±32767.
double full_scale(Format format);

// Reads `count` samples of a program's buffer, times `gain`.
void from_host(const void *buffer, Format format, std::size_t count, float gain, Sample *out);

// Writes `count` samples into a program's buffer at sample `offset`, times `gain`; integers saturate.
void to_host(const Sample *samples, std::size_t count, float gain, Format format, void *buffer, std::size_t offset);

// What an 8-bit converter makes of samples: 127 steps on each side, saturated at ±1.0.
void quantise_8_bit(Sample *samples, std::size_t count);

} // namespace air
