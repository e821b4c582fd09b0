#include "personality.hpp"

#include <stdexcept>

namespace air {
namespace {

const Personality GENERIC = {
    "generic", 4096, Format::cf32, 1.0, true, true, false, false, 0,
    {{{"PA", -60.0, 40.0, 0.0, 0.0}}, 0.0},
    {{{"LNA", -60.0, 60.0, 0.0, 0.0}}, 0.0},
};

// After SoapyHackRF and its reports of trouble: buffers of 131072 samples, a part of one is never sent (SoapyHackRF#35), the first
// four of a transmission are lost (SoapyHackRF#21, hackrf#703), the last is cut off (hackrf#1139).
const Personality HACKRF = {
    "hackrf", 131072, Format::cs8, 128.0, false, false, true, true, 4,
    {{{"AMP", 0.0, 14.0, 14.0, 0.0}, {"VGA", 0.0, 47.0, 1.0, 0.0}}, 20.0},
    {{{"LNA", 0.0, 40.0, 8.0, 16.0}, {"AMP", 0.0, 14.0, 14.0, 0.0}, {"VGA", 0.0, 62.0, 2.0, 16.0}}, 48.0},
};

} // namespace

const Personality &personality(const std::string &name) {
    if (name.empty() || name == GENERIC.name) {
        return GENERIC;
    }
    if (name == HACKRF.name) {
        return HACKRF;
    }
    throw std::runtime_error("semcast-air: personality `" + name + "` is not known: there are generic and hackrf");
}

} // namespace air
