#include "transmitter.hpp"

#include <algorithm>
#include <chrono>

#include <SoapySDR/Constants.h>
#include <SoapySDR/Errors.h>
#include <SoapySDR/Logger.hpp>

#include "clock.hpp"

namespace air {
namespace {

// Interval at which a transmitter that waits for an answer asks again.
constexpr int ASK_MS = 20;
// An open burst without samples is kept alive at this interval: the air gives up who is silent for 1.5 s.
constexpr int ALIVE_MS = 200;
// Unpaced, a burst without samples for so long is ended, so that it does not hold up the air.
constexpr int STARVED_MS = 1000;
// Paced, a burst may be late by so much before that counts as an underflow: what a device's own buffer would bridge.
constexpr int SLACK_MS = 20;
// Events that wait for a program that does not ask for them.
constexpr std::size_t MOST_EVENTS = 256;
// A timed burst may wait this long, in seconds of the air.
constexpr double LONGEST_WAIT_S = 60.0;

std::int64_t now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

} // namespace

Transmitter::Transmitter(const Settings &settings, double sample_rate_hz)
    : settings_(settings), sample_rate_hz_(sample_rate_hz), socket_(settings.transmit), clock_(settings.receive),
      session_(new_session()), capacity_(std::max<std::uint64_t>(65536, 4 * settings.personality.mtu)) {
    thread_ = std::thread([this] { run(); });
}

Transmitter::~Transmitter() {
    stop_ = true;
    socket_.wake();
    thread_.join();
    // Courtesy only: without it the air finds out by silence.
    send(Kind::goodbye, 0, nullptr, 0);
}

int Transmitter::write(
    const Sample *samples, std::size_t count, std::optional<long long> time, bool end, long timeout_us) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto room = [&] { return queued_ < capacity_ || lost_; };
    if (!changed_.wait_for(lock, std::chrono::microseconds(std::max(timeout_us, 0L)), room)) {
        return SOAPY_SDR_TIMEOUT;
    }
    if (lost_) {
        lost_ = false;
        open_ = false;
        return SOAPY_SDR_STREAM_ERROR;
    }
    const std::size_t taken = std::min<std::size_t>(count, capacity_ - queued_);
    const bool ends = end && taken == count;
    if (discarding_) {
        // Of the burst that the air gave up.
        discarding_ = !ends;
        return static_cast<int>(taken);
    }
    if (taken > 0 || ends) {
        Piece piece;
        piece.samples.assign(samples, samples + taken);
        piece.time = open_ ? std::nullopt : time;
        piece.end = ends;
        // An end without a beginning is nothing.
        if (taken > 0 || open_) {
            queue_.push_back(std::move(piece));
            queued_ += taken;
            open_ = !ends;
        }
    }
    lock.unlock();
    socket_.wake();
    return static_cast<int>(taken);
}

bool Transmitter::next_event(TransmitEvent &event, long timeout_us) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto any = [&] { return !events_.empty(); };
    if (!changed_.wait_for(lock, std::chrono::microseconds(std::max(timeout_us, 0L)), any)) {
        return false;
    }
    event = events_.front();
    events_.pop_front();
    return true;
}

void Transmitter::finish(long timeout_us) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (open_) {
        open_ = false;
        Piece piece;
        piece.end = true;
        queue_.push_back(std::move(piece));
        socket_.wake();
    }
    const auto done = [&] { return queue_.empty() && state_ == State::idle; };
    changed_.wait_for(lock, std::chrono::microseconds(std::max(timeout_us, 0L)), done);
    // What is left over does not belong to the next activation.
    queue_.clear();
    queued_ = 0;
    lost_ = false;
    discarding_ = false;
}

void Transmitter::run() {
    while (!stop_) {
        bool sending = false;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            sending = state_ == State::sending;
        }
        if (sending) {
            serve();
        } else if (!begin()) {
            listen(ALIVE_MS);
        }
    }
}

// Begins the burst that waits, if one does.
bool Transmitter::begin() {
    std::optional<long long> time;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (queue_.empty()) {
            return false;
        }
        state_ = State::sending;
        time = queue_.front().time;
    }
    start_ = limit_ = next_;
    zeros_ = 0;
    begins_at_ = std::nullopt;
    all_sent_ = starved_ = false;
    heard_ms_ = fed_ms_ = begun_ms_ = now_ms();
    if (time) {
        const auto now = ask_time(clock_, settings_.silence_ms);
        if (!now) {
            finished(SOAPY_SDR_STREAM_ERROR, false);
            return true;
        }
        const long long earliest = static_cast<long long>(now->sample + settings_.lead_samples);
        const auto longest = static_cast<long long>(LONGEST_WAIT_S * sample_rate_hz_);
        if (*time < earliest || *time - earliest > longest) {
            finished(SOAPY_SDR_TIME_ERROR, true);
            return true;
        }
        // Time stands still between bursts: silence in front puts the burst where it belongs.
        zeros_ = static_cast<std::uint64_t>(*time - earliest);
        begins_at_ = static_cast<std::uint64_t>(earliest);
    }
    ask();
    return true;
}

// One step of a burst that is under way.
void Transmitter::serve() {
    send_granted();
    const std::int64_t waited = now_ms() - asked_ms_;
    const bool owed = next_ < limit_ && !all_sent_;
    // While samples are lacking there is nothing to ask for.
    if (waited >= (owed ? ALIVE_MS : ASK_MS) && now_ms() - heard_ms_ >= (owed ? ALIVE_MS : ASK_MS) / 2) {
        ask();
    }
    listen(owed ? 5 : ASK_MS);
    check_silence();
    check_starvation();
}

void Transmitter::send_granted() {
    const std::uint64_t most = socket_.samples_per_datagram();
    while (!all_sent_) {
        const std::uint64_t room = std::min<std::uint64_t>(most, limit_ - std::min(limit_, next_));
        bool end = false;
        part_.clear();
        {
            std::lock_guard<std::mutex> lock(mutex_);
            const std::uint64_t silent = std::min(zeros_, room);
            part_.assign(silent, Sample{});
            while (part_.size() < room && !queue_.empty() && !end) {
                Piece &piece = queue_.front();
                const std::size_t left = piece.samples.size() - piece.used;
                const std::size_t count = std::min<std::size_t>(room - part_.size(), left);
                const Sample *from = piece.samples.data() + piece.used;
                part_.insert(part_.end(), from, from + count);
                piece.used += count;
                queued_ -= count;
                if (count < left) {
                    break;
                }
                end = piece.end;
                queue_.pop_front();
            }
            // The end came alone, behind samples that have all gone.
            if (room == 0 && zeros_ == 0 && !queue_.empty() && queue_.front().samples.empty() && next_ > start_) {
                end = queue_.front().end;
                queue_.pop_front();
            }
            zeros_ -= silent;
        }
        changed_.notify_all();
        if (part_.empty() && !end) {
            return;
        }
        fed_ms_ = now_ms();
        starved_ = false;
        std::uint8_t flags = next_ == start_ ? flag::START_OF_BURST : std::uint8_t{0};
        all_sent_ = end;
        if (part_.empty()) {
            ask();
            return;
        }
        if (end) {
            flags = static_cast<std::uint8_t>(flags | flag::END_OF_BURST);
        }
        send(Kind::samples, flags, part_.data(), part_.size());
        next_ += part_.size();
    }
}

void Transmitter::send(Kind kind, std::uint8_t flags, const Sample *samples, std::size_t count) {
    Header header;
    header.kind = kind;
    header.flags = flags;
    header.stream = settings_.stream;
    header.session = session_;
    header.peer_session = air_session_;
    header.first_sample = next_;
    header.sample_rate_hz = sample_rate_hz_;
    air::compose(header, samples, count, bytes_);
    socket_.send(bytes_);
}

// Tells the air where this burst stands, which it answers.
void Transmitter::ask() {
    asked_ms_ = now_ms();
    std::uint8_t flags = 0;
    if (next_ == start_) {
        flags = static_cast<std::uint8_t>(flags | flag::START_OF_BURST);
    }
    if (all_sent_) {
        flags = static_cast<std::uint8_t>(flags | flag::END_OF_BURST);
    }
    send(Kind::hello, flags, nullptr, 0);
}

void Transmitter::listen(int timeout_ms) {
    Datagram datagram;
    switch (socket_.receive(timeout_ms, datagram)) {
    case Heard::datagram: hear(datagram.header); break;
    case Heard::refused: std::this_thread::sleep_for(std::chrono::milliseconds(ASK_MS)); break;
    case Heard::nothing: break;
    }
}

void Transmitter::hear(const Header &header) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (state_ != State::sending) {
            return;
        }
    }
    if (header.peer_session != session_ || (header.kind != Kind::credit && header.kind != Kind::status)) {
        return;
    }
    heard_ms_ = now_ms();
    if (header.sample_rate_hz != sample_rate_hz_) {
        SoapySDR::logf(SOAPY_SDR_ERROR, "semcast-air: the air runs at %g Hz, this device at %g Hz: they must be equal",
            header.sample_rate_hz, sample_rate_hz_);
        finished(SOAPY_SDR_STREAM_ERROR, false);
        return;
    }
    const bool begun = next_ > start_;
    if (header.session != air_session_) {
        air_session_ = header.session;
        if (begun) {
            finished(SOAPY_SDR_STREAM_ERROR, false);
        } else {
            ask();
        }
    } else if (header.kind == Kind::credit) {
        // No air grants more than this ahead; a larger number would only make this one run away.
        limit_ = std::max(limit_, std::min(header.limit, next_ + (1U << 16)));
        if (all_sent_ && header.first_sample >= next_) {
            report(0, SOAPY_SDR_END_BURST, begins_at_ ? std::optional(*begins_at_ + (next_ - start_)) : std::nullopt);
            std::lock_guard<std::mutex> lock(mutex_);
            state_ = State::idle;
            changed_.notify_all();
        }
    } else if ((header.flags & flag::DISCONTINUITY) != 0 && begun && header.first_sample >= start_) {
        finished(SOAPY_SDR_STREAM_ERROR, false);
    }
}

void Transmitter::check_silence() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (state_ != State::sending) {
            return;
        }
    }
    // Before its first sample a burst may wait for its turn, as long as the air answers.
    if (now_ms() - heard_ms_ > std::max(settings_.silence_ms, ALIVE_MS * 3)) {
        SoapySDR::logf(SOAPY_SDR_ERROR, "semcast-air: the air has fallen silent %s",
            next_ > start_ ? "in the middle of a burst" : "before a burst");
        finished(SOAPY_SDR_STREAM_ERROR, false);
    }
}

// A burst whose samples do not come in time.
void Transmitter::check_starvation() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (state_ != State::sending || all_sent_ || !queue_.empty() || zeros_ > 0 || limit_ <= next_) {
            return;
        }
    }
    const std::int64_t now = now_ms();
    if (settings_.paced) {
        const double played_ms = 1e3 * static_cast<double>(next_ - start_) / sample_rate_hz_;
        if (!starved_ && static_cast<double>(now - begun_ms_) > played_ms + SLACK_MS) {
            starved_ = true;
            report(SOAPY_SDR_UNDERFLOW, 0, std::nullopt);
        }
    } else if (now - fed_ms_ > STARVED_MS) {
        report(SOAPY_SDR_UNDERFLOW, 0, std::nullopt);
        all_sent_ = true;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            open_ = false;
        }
        ask();
    }
}

// Ends a burst that has failed. What is queued of it is dropped, and what is yet to be written of it.
void Transmitter::finished(int code, bool by_status_alone) {
    report(code, SOAPY_SDR_END_BURST, std::nullopt);
    std::lock_guard<std::mutex> lock(mutex_);
    bool end_seen = false;
    while (!queue_.empty() && !end_seen) {
        queued_ -= queue_.front().samples.size() - queue_.front().used;
        end_seen = queue_.front().end;
        queue_.pop_front();
    }
    if (!end_seen && open_) {
        if (by_status_alone) {
            discarding_ = true;
            open_ = false;
        } else {
            lost_ = true;
        }
    }
    state_ = State::idle;
    if (next_ > start_) {
        // A new session, so that the air does not take what comes next for the rest of this burst.
        session_ = new_session();
        next_ = 0;
    }
    changed_.notify_all();
}

void Transmitter::report(int code, int flags, std::optional<std::uint64_t> at) {
    TransmitEvent event;
    event.code = code;
    event.flags = flags;
    if (at) {
        event.flags |= SOAPY_SDR_HAS_TIME;
        event.time_ns = to_ns(*at, sample_rate_hz_);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    if (events_.size() == MOST_EVENTS) {
        events_.pop_front();
    }
    events_.push_back(event);
    changed_.notify_all();
}

} // namespace air
