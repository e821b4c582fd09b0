// Bursts of a program → datagrams to the air, as fast as it grants.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "settings.hpp"
#include "socket.hpp"

namespace air {

// What became of a burst, or went wrong within it.
struct TransmitEvent {
    int code = 0;  // 0: burst taken by the air; else SOAPY_SDR_UNDERFLOW, _TIME_ERROR, _STREAM_ERROR
    int flags = 0; // SOAPY_SDR_END_BURST, SOAPY_SDR_HAS_TIME
    long long time_ns = 0;
};

// A thread of its own speaks with the air. All functions may be called from any thread.
class Transmitter {
public:
    Transmitter(const Settings &settings, double sample_rate_hz);
    ~Transmitter();
    Transmitter(const Transmitter &) = delete;
    Transmitter &operator=(const Transmitter &) = delete;

    // Takes up to `count` samples, as many as there is room for; waits up to `timeout_us` for room. `time` is the air's
    // sample at which a burst that begins with these shall start. Returns how many were taken, SOAPY_SDR_TIMEOUT, or
    // SOAPY_SDR_STREAM_ERROR once after the air gave a burst up; then the rest of that burst need not be written.
    int write(const Sample *samples, std::size_t count, std::optional<long long> time, bool end, long timeout_us);

    // The next event; false if there is none in time.
    bool next_event(TransmitEvent &event, long timeout_us);

    // Ends a burst that is open, and waits up to `timeout_us` until the air has taken all that was written.
    void finish(long timeout_us);

private:
    struct Piece {
        std::vector<Sample> samples;
        std::size_t used = 0;
        std::optional<long long> time;
        bool end = false;
    };
    enum class State { idle, sending };

    void run();
    bool begin();
    void serve();
    void send_granted();
    void listen(int timeout_ms);
    void hear(const Header &header);
    void ask();
    void send(Kind kind, std::uint8_t flags, const Sample *samples, std::size_t count);
    void check_silence();
    void check_starvation();
    void finished(int code, bool by_status_alone);
    void report(int code, int flags, std::optional<std::uint64_t> at);

    const Settings settings_;
    const double sample_rate_hz_;
    Socket socket_;
    Socket clock_;
    std::uint32_t session_;
    const std::uint64_t capacity_;

    // The sender thread's own, the session too.
    std::uint32_t air_session_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t start_ = 0;
    std::uint64_t limit_ = 0;
    std::uint64_t zeros_ = 0;
    std::optional<std::uint64_t> begins_at_; // sample at which a timed burst begins, with the silence in front
    bool all_sent_ = false;
    bool starved_ = false;
    std::int64_t heard_ms_ = 0;
    std::int64_t asked_ms_ = 0;
    std::int64_t fed_ms_ = 0;
    std::int64_t begun_ms_ = 0;
    std::vector<std::uint8_t> bytes_;
    std::vector<Sample> part_;

    // Shared.
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Piece> queue_;
    std::uint64_t queued_ = 0;
    bool open_ = false; // the program has begun a burst and not ended it
    bool lost_ = false; // to be told by the next write
    bool discarding_ = false; // the rest of a burst that failed, up to its end
    State state_ = State::idle;
    std::deque<TransmitEvent> events_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

} // namespace air
