#include "settings.hpp"

#include <stdexcept>

namespace air {
namespace {

unsigned long number(const SoapySDR::Kwargs &arguments, const std::string &key, unsigned long least, unsigned long most,
    unsigned long otherwise) {
    const auto found = arguments.find(key);
    if (found == arguments.end()) {
        return otherwise;
    }
    const std::string &text = found->second;
    const bool digits = !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string::npos;
    const unsigned long value = digits ? std::stoul(text) : 0;
    if (!digits || value < least || value > most) {
        throw std::runtime_error("semcast-air: " + key + "=" + text + " is not allowed: expected " +
            std::to_string(least) + " to " + std::to_string(most));
    }
    return value;
}

// The same host, one port further.
std::string next_port(const std::string &address) {
    const auto colon = address.rfind(':');
    const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
    const bool digits = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoul(port) == 0 || std::stoul(port) >= 65535) {
        throw std::runtime_error("semcast-air: air=" + address + " is not allowed: expected HOST:PORT, ports 1 to 65534");
    }
    return address.substr(0, colon + 1) + std::to_string(std::stoul(port) + 1);
}

} // namespace

Settings settings_of(const SoapySDR::Kwargs &arguments) {
    const auto text = [&](const char *key) {
        const auto found = arguments.find(key);
        return found == arguments.end() ? std::string() : found->second;
    };
    Settings settings;
    if (const std::string air = text("air"); !air.empty()) {
        settings.transmit = air;
        settings.receive = next_port(air);
    }
    if (const std::string transmit = text("transmit"); !transmit.empty()) {
        settings.transmit = transmit;
    }
    if (const std::string receive = text("receive"); !receive.empty()) {
        settings.receive = receive;
    }
    settings.personality = personality(text("personality"));
    settings.paced = number(arguments, "paced", 0, 1, 0) == 1;
    settings.lead_samples = number(arguments, "lead", 0, 1UL << 24, settings.lead_samples);
    settings.stream = static_cast<std::uint32_t>(number(arguments, "stream", 0, 0xFFFFFFFFUL, 0));
    settings.silence_ms = static_cast<int>(number(arguments, "silence_ms", 100, 60000, 1500));
    return settings;
}

} // namespace air
