#include "clock.hpp"

#include <chrono>
#include <cmath>

namespace air {

std::optional<AirTime> ask_time(Socket &receivers, int timeout_ms) {
    using Clock = std::chrono::steady_clock;
    constexpr int ASK_MS = 20;
    const auto until = Clock::now() + std::chrono::milliseconds(timeout_ms);
    Header hello;
    hello.kind = Kind::hello;
    hello.session = new_session();
    // Only answered, not checked, while we name no session.
    hello.sample_rate_hz = 1.0;
    std::vector<std::uint8_t> bytes;
    compose(hello, nullptr, 0, bytes);
    while (Clock::now() < until) {
        receivers.send(bytes);
        const auto again = Clock::now() + std::chrono::milliseconds(ASK_MS);
        while (Clock::now() < again) {
            Datagram answer;
            const Heard heard = receivers.receive(ASK_MS, answer);
            if (heard == Heard::datagram && answer.header.kind == Kind::status &&
                answer.header.peer_session == hello.session) {
                return AirTime{answer.header.first_sample, answer.header.sample_rate_hz};
            }
            if (heard == Heard::refused) {
                // Nobody is there; what is being restarted may come.
                Datagram ignored;
                (void)receivers.receive(ASK_MS, ignored);
                break;
            }
        }
    }
    return std::nullopt;
}

long long to_ns(std::uint64_t sample, double sample_rate_hz) {
    // 64 bits of mantissa on common machines: exact to the ns for years.
    return std::llround(static_cast<long double>(sample) * 1e9L / static_cast<long double>(sample_rate_hz));
}

long long to_samples(long long time_ns, double sample_rate_hz) {
    return std::llround(static_cast<long double>(time_ns) * static_cast<long double>(sample_rate_hz) / 1e9L);
}

} // namespace air
