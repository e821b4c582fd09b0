// The air's time: an index of samples, and the nanoseconds that programs see.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "socket.hpp"

namespace air {

struct AirTime {
    std::uint64_t sample = 0;
    double sample_rate_hz = 0.0;
};

// Asks the air what time it is, over its port for receivers. Nothing if none answers within `timeout_ms`.
//
// A hello that names no session is answered with the index of the sample that the air is at, and nothing is kept of it.
std::optional<AirTime> ask_time(Socket &receivers, int timeout_ms);

// Index ↔ time in ns, exact to the sample at all rates that a radio has.
long long to_ns(std::uint64_t sample, double sample_rate_hz);
long long to_samples(long long time_ns, double sample_rate_hz);

} // namespace air
