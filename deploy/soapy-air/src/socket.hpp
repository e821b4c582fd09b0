// A UDP socket to one port of the air.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datagram.hpp"

namespace air {

// What waiting on a socket brought.
enum class Heard { nothing, datagram, refused };

class Socket {
public:
    // `address` is HOST:PORT or [HOST]:PORT. Throws std::runtime_error with a reason.
    explicit Socket(const std::string &address);
    ~Socket();
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;

    // What cannot be sent is lost, as on a network.
    void send(const std::vector<std::uint8_t> &bytes);

    // Waits for a datagram, for wake() or for the time to pass. Junk is dropped: Heard::nothing.
    // `datagram` points into this socket until the next call.
    Heard receive(int timeout_ms, Datagram &datagram);

    // Ends a wait of receive() in another thread.
    void wake();

    // Samples that a datagram to this peer may carry.
    std::size_t samples_per_datagram() const { return loopback_ ? LOOPBACK_SAMPLES : NETWORK_SAMPLES; }

    // Samples that may be on their way to this socket at once.
    std::uint64_t window() const { return window_; }

private:
    int socket_ = -1;
    int wake_[2] = {-1, -1};
    bool loopback_ = false;
    std::uint64_t window_ = 0;
    std::vector<std::uint8_t> incoming_;
};

// A number that no earlier run had, never 0.
std::uint32_t new_session();

} // namespace air
