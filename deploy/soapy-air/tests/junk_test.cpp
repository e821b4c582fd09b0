// An air that answers with junk: damaged datagrams, and sound ones that make no sense. Nothing of it may end or stall a program.
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <SoapySDR/Constants.h>
#include <SoapySDR/Device.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.hpp"
#include "datagram.hpp"

namespace {

constexpr double RATE_HZ = 1e6;

// A port that answers every datagram with several of its own.
class HostileAir {
public:
    explicit HostileAir(unsigned seed) : random_(seed), socket_(socket(AF_INET, SOCK_DGRAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        expect(bind(socket_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0, "a free port");
        socklen_t length = sizeof address;
        getsockname(socket_, reinterpret_cast<sockaddr *>(&address), &length);
        port_ = ntohs(address.sin_port);
        const timeval patience{0, 20'000};
        setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        thread_ = std::thread([this] { run(); });
    }

    ~HostileAir() {
        stop_ = true;
        thread_.join();
        close(socket_);
    }

    std::string place() const { return "127.0.0.1:" + std::to_string(port_); }
    unsigned answers() const { return answers_; }

private:
    void run() {
        std::vector<std::uint8_t> bytes(air::MAX_DATAGRAM_BYTES + 1);
        while (!stop_) {
            sockaddr_in from{};
            socklen_t length = sizeof from;
            const ssize_t size =
                recvfrom(socket_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr *>(&from), &length);
            if (size < 0) {
                continue;
            }
            const auto asked = air::parse(bytes.data(), static_cast<std::size_t>(size));
            expect(asked.has_value(), "a device sends sound datagrams");
            const air::Header header = asked->header;
            for (unsigned count = random_() % 6; count > 0; count--) {
                answer(header, from);
            }
        }
    }

    void answer(const air::Header &asked, const sockaddr_in &to) {
        air::Header header;
        header.kind = static_cast<air::Kind>(1 + random_() % 5);
        header.flags = static_cast<std::uint8_t>(random_());
        // Mostly one session, so that the device gets further than its first look.
        header.session = random_() % 50 == 0 ? random_() : 9;
        header.peer_session = random_() % 10 == 0 ? random_() : asked.session;
        const std::uint64_t jumps[] = {0, asked.first_sample, asked.first_sample + random_() % 5000,
            std::uint64_t{1} << 62, random_()};
        header.first_sample = jumps[random_() % 5];
        header.limit = jumps[random_() % 5];
        header.sample_rate_hz = random_() % 100 == 0 ? 1.0 : RATE_HZ;
        const std::vector<air::Sample> samples(header.kind == air::Kind::samples ? 1 + random_() % 1000 : 0, {1.0F, 0.0F});
        std::vector<std::uint8_t> out;
        air::compose(header, samples.data(), samples.size(), out);
        if (random_() % 3 == 0) {
            for (unsigned edits = 1 + random_() % 8; edits > 0; edits--) {
                out[random_() % out.size()] = static_cast<std::uint8_t>(random_());
            }
            out.resize(random_() % (out.size() + 1));
        }
        sendto(socket_, out.data(), out.size(), 0, reinterpret_cast<const sockaddr *>(&to), sizeof to);
        answers_ += 1;
    }

    std::mt19937 random_;
    int socket_;
    unsigned port_ = 0;
    std::atomic<bool> stop_{false};
    std::atomic<unsigned> answers_{0};
    std::thread thread_;
};

} // namespace

int main() {
    for (const char *personality : {"generic", "hackrf"}) {
        HostileAir transmit(1);
        HostileAir receive(2);
        auto *device = SoapySDR::Device::make({{"driver", "semcast-air"}, {"transmit", transmit.place()},
            {"receive", receive.place()}, {"personality", personality}, {"silence_ms", "300"}});
        std::vector<air::Sample> samples(2000, {0.5F, 0.5F});
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
        unsigned rounds = 0;
        while (std::chrono::steady_clock::now() < until) {
            rounds += 1;
            try {
                device->setSampleRate(SOAPY_SDR_TX, 0, RATE_HZ);
            } catch (const std::exception &) {
                // The air may name any rate.
            }
            (void)device->getHardwareTime();
            for (const int direction : {SOAPY_SDR_TX, SOAPY_SDR_RX}) {
                auto *stream = device->setupStream(direction, "CF32");
                if (device->activateStream(stream) == 0) {
                    for (int call = 0; call < 30; call++) {
                        int flags = call % 7 == 6 ? SOAPY_SDR_END_BURST : 0;
                        long long time = 0;
                        size_t channels = 0;
                        if (direction == SOAPY_SDR_TX) {
                            const void *buffers[] = {samples.data()};
                            (void)device->writeStream(stream, buffers, samples.size(), flags, time, 5000);
                            (void)device->readStreamStatus(stream, channels, flags, time, 100);
                        } else {
                            void *buffers[] = {samples.data()};
                            const int count = device->readStream(stream, buffers, samples.size(), flags, time, 5000);
                            expect(count <= static_cast<int>(samples.size()), "no more samples than asked for");
                        }
                    }
                }
                device->closeStream(stream);
            }
        }
        SoapySDR::Device::unmake(device);
        expect(rounds > 0 && transmit.answers() + receive.answers() > 100, "the device was answered");
    }
    std::puts("junk: ok");
    return 0;
}
