// Datagrams of the air → a stream of samples for a program.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "settings.hpp"
#include "socket.hpp"

namespace air {

// What a read brought, beside samples.
struct ReadResult {
    // Samples, or SOAPY_SDR_TIMEOUT, SOAPY_SDR_OVERFLOW (once for each gap), SOAPY_SDR_STREAM_ERROR (the air is gone).
    int code = 0;
    // Index of the first sample; after an overflow, of the next one.
    std::uint64_t first_sample = 0;
};

// A thread of its own speaks with the air for as long as this exists.
class Receiver {
public:
    Receiver(const Settings &settings, double sample_rate_hz);
    ~Receiver();
    Receiver(const Receiver &) = delete;
    Receiver &operator=(const Receiver &) = delete;

    // Waits until the air has taken this receiver in; says whether it did.
    bool wait_established(int timeout_ms);

    // Takes 1 to `count` samples that follow each other without a gap, at least `least` of them.
    ReadResult read(Sample *out, std::size_t count, std::size_t least, long timeout_us);

private:
    struct Piece {
        std::uint64_t first = 0;
        std::vector<Sample> samples;
        std::size_t used = 0;
    };

    void run();
    void hear(const Datagram &datagram);
    void take_samples(const Datagram &datagram);
    void begin_anew(const Header &header);
    void grant();
    void say(Kind kind);
    std::size_t contiguous() const;

    const Settings settings_;
    const double sample_rate_hz_;
    Socket socket_;
    const std::uint32_t session_;
    const std::uint64_t capacity_;

    // The receiver thread's own.
    std::uint32_t air_session_ = 0;
    std::uint64_t limit_ = 0;
    std::int64_t heard_ms_ = 0;
    std::int64_t said_ms_ = 0;
    std::vector<std::uint8_t> bytes_;

    // Shared.
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Piece> pieces_;
    std::uint64_t stored_ = 0;
    std::uint64_t expected_ = 0; // next index from the air
    std::uint64_t returned_ = 0; // next index for the program
    bool flowing_ = false; // the first sample of the stream is known, so that a gap means loss
    bool established_ = false;
    bool gone_ = false;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

} // namespace air
