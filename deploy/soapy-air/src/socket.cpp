#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <stdexcept>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace air {
namespace {

// Asked for; the system grants what its limits allow.
constexpr int BUFFER_BYTES = 1 << 20;
// Samples in flight that even a stock buffer of 208 KiB holds with the system's bookkeeping.
constexpr std::uint64_t SMALLEST_WINDOW = 8192;
constexpr std::uint64_t LARGEST_WINDOW = 32768;

bool is_loopback(const sockaddr *address) {
    if (address->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, address, sizeof v4);
        return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

} // namespace

std::uint32_t new_session() {
    std::random_device random;
    return std::max<std::uint32_t>(random(), 1);
}

Socket::Socket(const std::string &address) : incoming_(MAX_DATAGRAM_BYTES + 1) {
    const auto colon = address.rfind(':');
    if (colon == std::string::npos || colon + 1 == address.size()) {
        throw std::runtime_error("semcast-air: `" + address + "` is not HOST:PORT");
    }
    std::string host = address.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo *found = nullptr;
    const int error = getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
    if (error != 0 || found == nullptr) {
        throw std::runtime_error("semcast-air: cannot resolve `" + address + "`: " + gai_strerror(error));
    }
    loopback_ = is_loopback(found->ai_addr);
    socket_ = socket(found->ai_family, SOCK_DGRAM, 0);
    if (socket_ >= 0) {
        const int bytes = BUFFER_BYTES;
        // Refusal leaves the stock size, for which the smallest window is made.
        (void)setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        (void)setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    const bool connected = socket_ >= 0 && connect(socket_, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    if (!connected || pipe(wake_) != 0) {
        const std::string reason = std::strerror(errno);
        if (socket_ >= 0) {
            close(socket_);
        }
        throw std::runtime_error("semcast-air: no socket to `" + address + "`: " + reason);
    }
    fcntl(socket_, F_SETFL, O_NONBLOCK);
    fcntl(wake_[0], F_SETFL, O_NONBLOCK);
    fcntl(wake_[1], F_SETFL, O_NONBLOCK);
    for (const int each : {socket_, wake_[0], wake_[1]}) {
        fcntl(each, F_SETFD, FD_CLOEXEC);
    }
    int granted = 0;
    socklen_t length = sizeof granted;
    getsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &granted, &length);
    window_ = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::max(granted, 0)) / 24, SMALLEST_WINDOW,
        LARGEST_WINDOW);
}

Socket::~Socket() {
    close(socket_);
    close(wake_[0]);
    close(wake_[1]);
}

void Socket::send(const std::vector<std::uint8_t> &bytes) {
    if (::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0) {
        return;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
        // Full for a moment: worth one more try. A refusal of an earlier datagram is reported by receive().
        pollfd room{socket_, POLLOUT, 0};
        poll(&room, 1, 20);
    }
    (void)!::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

Heard Socket::receive(int timeout_ms, Datagram &datagram) {
    ssize_t size = recv(socket_, incoming_.data(), incoming_.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        pollfd waiting[2] = {{socket_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
        if (poll(waiting, 2, timeout_ms) > 0 && (waiting[1].revents & POLLIN) != 0) {
            char drained[64];
            while (read(wake_[0], drained, sizeof drained) > 0) {
            }
        }
        size = recv(socket_, incoming_.data(), incoming_.size(), 0);
    }
    if (size < 0) {
        return errno == ECONNREFUSED ? Heard::refused : Heard::nothing;
    }
    const auto parsed = parse(incoming_.data(), static_cast<std::size_t>(size));
    if (!parsed) {
        return Heard::nothing;
    }
    datagram = *parsed;
    return Heard::datagram;
}

void Socket::wake() {
    const char something = 1;
    (void)!::write(wake_[1], &something, 1);
}

} // namespace air
