// What the device arguments say.
#pragma once

#include <cstdint>
#include <string>

#include <SoapySDR/Types.hpp>

#include "personality.hpp"

namespace air {

struct Settings {
    // HOST:PORT of the air's ports for transmitters and for receivers.
    std::string transmit = "127.0.0.1:4810";
    std::string receive = "127.0.0.1:4811";
    Personality personality;
    // The air runs at the sample rate: programs that are slow are told so, as by a real device.
    bool paced = false;
    // Silence that the air puts before a burst when it is not paced, in samples: its `lead_samples`.
    std::uint64_t lead_samples = 2048;
    // A number that tells this transmitter from others on the machine, 0 for none.
    std::uint32_t stream = 0;
    // How long nothing may be heard of the air until it counts as gone.
    int silence_ms = 1500;
};

// Throws std::runtime_error that names the argument and what it may be.
Settings settings_of(const SoapySDR::Kwargs &arguments);

} // namespace air
