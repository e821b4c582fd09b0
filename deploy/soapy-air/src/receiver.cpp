#include "receiver.hpp"

#include <algorithm>
#include <chrono>

#include <SoapySDR/Errors.h>
#include <SoapySDR/Logger.hpp>

namespace air {
namespace {

// Interval at which a receiver tells the air that it is alive.
constexpr int HELLO_MS = 200;
// The same before the air has answered.
constexpr int ASK_MS = 20;

std::int64_t now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

} // namespace

Receiver::Receiver(const Settings &settings, double sample_rate_hz)
    : settings_(settings), sample_rate_hz_(sample_rate_hz), socket_(settings.receive), session_(new_session()),
      capacity_(std::max<std::uint64_t>(1U << 18, 4 * settings.personality.mtu)) {
    heard_ms_ = now_ms();
    thread_ = std::thread([this] { run(); });
}

Receiver::~Receiver() {
    stop_ = true;
    socket_.wake();
    thread_.join();
    say(Kind::goodbye);
}

bool Receiver::wait_established(int timeout_ms) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return established_ || gone_; });
    return established_ && !gone_;
}

// Samples at the front that follow each other.
std::size_t Receiver::contiguous() const {
    std::uint64_t next = returned_;
    std::size_t count = 0;
    for (const Piece &piece : pieces_) {
        if (piece.first + piece.used != next) {
            break;
        }
        count += piece.samples.size() - piece.used;
        next = piece.first + piece.samples.size();
    }
    return count;
}

ReadResult Receiver::read(Sample *out, std::size_t count, std::size_t least, long timeout_us) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto gap = [&] { return !pieces_.empty() && pieces_.front().first + pieces_.front().used != returned_; };
    const auto ready = [&] { return gone_ || gap() || contiguous() >= std::max<std::size_t>(least, 1); };
    ReadResult result;
    const bool in_time = changed_.wait_for(lock, std::chrono::microseconds(std::max(timeout_us, 0L)), ready);
    result.first_sample = returned_;
    if (!in_time) {
        // A gap further behind will not close: what is in front of it is all that will come.
        const bool cut = contiguous() > 0 && contiguous() < stored_;
        if (!cut) {
            result.code = SOAPY_SDR_TIMEOUT;
            return result;
        }
    } else if (gap()) {
        returned_ = pieces_.front().first + pieces_.front().used;
        result.first_sample = returned_;
        result.code = SOAPY_SDR_OVERFLOW;
        return result;
    }
    std::size_t taken = 0;
    while (taken < count && !pieces_.empty() && pieces_.front().first + pieces_.front().used == returned_) {
        Piece &piece = pieces_.front();
        const std::size_t part = std::min(count - taken, piece.samples.size() - piece.used);
        std::copy_n(piece.samples.begin() + static_cast<long>(piece.used), part, out + taken);
        taken += part;
        piece.used += part;
        returned_ += part;
        stored_ -= part;
        if (piece.used == piece.samples.size()) {
            pieces_.pop_front();
        }
    }
    if (taken == 0) {
        result.code = SOAPY_SDR_STREAM_ERROR;
        return result;
    }
    result.code = static_cast<int>(taken);
    const bool much_room = limit_ < expected_ + socket_.window() / 2;
    lock.unlock();
    if (much_room) {
        socket_.wake();
    }
    return result;
}

void Receiver::run() {
    while (!stop_) {
        const bool known = air_session_ != 0;
        if (now_ms() - said_ms_ >= (known ? HELLO_MS : ASK_MS)) {
            say(Kind::hello);
        }
        Datagram datagram;
        switch (socket_.receive(known ? HELLO_MS / 4 : ASK_MS, datagram)) {
        case Heard::datagram: hear(datagram); break;
        case Heard::refused: std::this_thread::sleep_for(std::chrono::milliseconds(ASK_MS)); break;
        case Heard::nothing: break;
        }
        grant();
        if (now_ms() - heard_ms_ > std::max(settings_.silence_ms, 3 * HELLO_MS)) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (!gone_) {
                gone_ = true;
                SoapySDR::logf(SOAPY_SDR_ERROR, "semcast-air: no air answers at %s", settings_.receive.c_str());
            }
            changed_.notify_all();
        }
    }
}

void Receiver::say(Kind kind) {
    said_ms_ = now_ms();
    Header header;
    header.kind = kind;
    header.session = session_;
    header.peer_session = air_session_;
    header.limit = limit_;
    header.sample_rate_hz = sample_rate_hz_;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        header.first_sample = expected_;
    }
    compose(header, nullptr, 0, bytes_);
    socket_.send(bytes_);
}

// Grants what there is room for, once that is worth a datagram.
void Receiver::grant() {
    bool worth_it = false;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!established_ || gone_) {
            return;
        }
        // A device that keeps time does not wait for its program.
        const std::uint64_t room = settings_.paced ? capacity_ : capacity_ - std::min(capacity_, stored_);
        const std::uint64_t possible = expected_ + std::min(socket_.window(), room);
        worth_it = limit_ < expected_ + socket_.window() / 2 && possible > limit_;
        if (worth_it) {
            limit_ = possible;
        }
    }
    if (worth_it) {
        say(Kind::credit);
    }
}

void Receiver::hear(const Datagram &datagram) {
    const Header &header = datagram.header;
    if (header.peer_session != session_ || (header.kind != Kind::status && header.kind != Kind::samples)) {
        return;
    }
    heard_ms_ = now_ms();
    if (header.sample_rate_hz != sample_rate_hz_) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!gone_) {
            SoapySDR::logf(SOAPY_SDR_ERROR,
                "semcast-air: the air runs at %g Hz, this device at %g Hz: they must be equal", header.sample_rate_hz,
                sample_rate_hz_);
        }
        gone_ = true;
        changed_.notify_all();
        return;
    }
    if (header.session != air_session_) {
        if (header.kind == Kind::status) {
            begin_anew(header);
        }
        return;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    const bool taken_in = header.kind == Kind::samples || (header.flags & flag::ESTABLISHED) != 0;
    if (taken_in && !established_) {
        established_ = true;
        changed_.notify_all();
    }
    if (header.first_sample > expected_ && established_) {
        // Lost on the way, or skipped by the air. Nothing stands in its place: the next piece begins later.
        expected_ = header.first_sample;
        limit_ = std::max(limit_, expected_);
        if (!flowing_) {
            returned_ = expected_;
        }
    }
    flowing_ = flowing_ || established_;
    const bool useful = header.kind == Kind::samples && header.first_sample == expected_;
    lock.unlock();
    if (useful) {
        take_samples(datagram);
    }
}

void Receiver::take_samples(const Datagram &datagram) {
    Piece piece;
    piece.first = datagram.header.first_sample;
    read_samples(datagram, piece.samples);
    std::lock_guard<std::mutex> lock(mutex_);
    expected_ += piece.samples.size();
    if (stored_ + piece.samples.size() > capacity_ + MAX_SAMPLES) {
        // The program does not read in time: the oldest samples make room, and it is told.
        while (!pieces_.empty() && stored_ > capacity_ / 2) {
            stored_ -= pieces_.front().samples.size() - pieces_.front().used;
            pieces_.pop_front();
        }
    }
    stored_ += piece.samples.size();
    pieces_.push_back(std::move(piece));
    changed_.notify_all();
}

// An air that we did not know.
void Receiver::begin_anew(const Header &header) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (air_session_ != 0) {
            SoapySDR::log(SOAPY_SDR_ERROR, "semcast-air: the air was restarted");
            gone_ = true;
            changed_.notify_all();
            return;
        }
        expected_ = returned_ = header.first_sample;
        // The first grant goes out with the hello that asks to be taken in.
        limit_ = header.first_sample + std::min<std::uint64_t>(socket_.window(), capacity_);
    }
    air_session_ = header.session;
    say(Kind::hello);
}

} // namespace air
