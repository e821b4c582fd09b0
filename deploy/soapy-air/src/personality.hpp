// What kind of device the air looks like.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "samples.hpp"

namespace air {

// A stage of amplification.
struct Gain {
    std::string name;
    double least_db;
    double most_db;
    double step_db;
    double default_db;
};

// One direction of a device.
struct Chain {
    std::vector<Gain> gains;
    // Sum of the gains at which a sample of magnitude 1.0 at the program is one of magnitude 1.0 on the air.
    double unity_db;
};

struct Personality {
    std::string name;
    // Samples of a buffer: reads and writes of at most so many.
    std::size_t mtu;
    Format native;
    // What a native integer of ±1.0 is said to be.
    double native_full_scale;
    bool full_duplex;
    bool has_time;
    // Converters of 8 bits, whatever format a program asks for.
    bool eight_bit;
    // Only whole buffers go in and out, flags of writes are ignored, and the last buffer is never sent.
    bool whole_buffers;
    // Buffers at the beginning of a transmission that are silence on the air.
    std::size_t buffers_lost_at_start;
    Chain transmit;
    Chain receive;
};

// `generic` or `hackrf`; throws std::runtime_error for others.
const Personality &personality(const std::string &name);

} // namespace air
