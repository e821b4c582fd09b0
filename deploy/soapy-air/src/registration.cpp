// Tells SoapySDR of the driver `semcast-air`.
#include <stdexcept>

#include <SoapySDR/Registry.hpp>

#include "clock.hpp"
#include "device.hpp"

namespace {

SoapySDR::KwargsList find(const SoapySDR::Kwargs &arguments) {
    const auto driver = arguments.find("driver");
    const bool named = driver != arguments.end() && driver->second == "semcast-air";
    if (driver != arguments.end() && !named) {
        return {};
    }
    SoapySDR::Kwargs found = arguments;
    found["driver"] = "semcast-air";
    found.emplace("label", "semcast air");
    if (!named) {
        // Nobody asked for it: only where an air is running.
        try {
            air::Socket socket(air::settings_of(arguments).receive);
            if (!air::ask_time(socket, 50)) {
                return {};
            }
        } catch (const std::exception &) {
            return {};
        }
    }
    return {found};
}

SoapySDR::Device *make(const SoapySDR::Kwargs &arguments) {
    return new air::Device(arguments);
}

const SoapySDR::Registry registration("semcast-air", &find, &make, SOAPY_SDR_ABI_VERSION);

} // namespace
