#include "device.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include <SoapySDR/Constants.h>
#include <SoapySDR/Errors.h>

#include "clock.hpp"

namespace air {
namespace {

constexpr double LEAST_RATE_HZ = 10e3;
constexpr double MOST_RATE_HZ = 100e6;
constexpr double LEAST_FREQUENCY_HZ = 1e6;
constexpr double MOST_FREQUENCY_HZ = 6e9;
// Converted in one piece at most.
constexpr std::size_t MOST_AT_ONCE = 65536;
// How long an air may take to answer a question about its rate or time.
constexpr int PROBE_MS = 100;
// How long activation waits for the air, and deactivation for the rest of a burst.
constexpr int ESTABLISH_MS = 1000;
constexpr long FINISH_US = 5'000'000;

int index_of(int direction) {
    return direction == SOAPY_SDR_TX ? 0 : 1;
}

} // namespace

// A stream of either direction. The parts that speak with the air live while it is active.
struct Device::Stream {
    int direction = SOAPY_SDR_RX;
    Format format = Format::cf32;
    std::unique_ptr<Transmitter> transmitter;
    std::unique_ptr<Receiver> receiver;
    std::vector<Sample> scratch;
    // Whole buffers: the one being filled, the one before it (whose first `sent` samples have gone), and how many went before.
    std::vector<Sample> filling;
    std::vector<Sample> held;
    std::size_t sent = 0;
    std::size_t buffers = 0;
    // Whole buffers: what a program has not taken of the one it reads.
    std::size_t unread = 0;
};

Device::Device(const SoapySDR::Kwargs &arguments) : settings_(settings_of(arguments)) {
    // Throws now, not at the first burst, if an address makes no sense.
    const Socket transmit(settings_.transmit);
    const Socket receive(settings_.receive);
    for (const int direction : {SOAPY_SDR_TX, SOAPY_SDR_RX}) {
        for (const Gain &each : chain(direction).gains) {
            gains_[{direction, each.name}] = each.default_db;
        }
    }
}

Device::~Device() = default;

SoapySDR::Kwargs Device::getHardwareInfo() const {
    return {{"transmit", settings_.transmit}, {"receive", settings_.receive},
        {"personality", settings_.personality.name}, {"paced", settings_.paced ? "1" : "0"}};
}

std::optional<AirTime> Device::probe(int timeout_ms) const {
    Socket socket(settings_.receive);
    return ask_time(socket, timeout_ms);
}

std::string Device::getNativeStreamFormat(int, size_t, double &scale) const {
    scale = settings_.personality.native_full_scale;
    return settings_.personality.native == Format::cs8 ? "CS8" : "CF32";
}

SoapySDR::Stream *Device::setupStream(int direction, const std::string &format, const std::vector<size_t> &channels,
    const SoapySDR::Kwargs &) {
    if (channels.size() > 1 || (channels.size() == 1 && channels[0] != 0)) {
        throw std::runtime_error("semcast-air: there is channel 0 alone");
    }
    auto stream = std::make_unique<Stream>();
    stream->direction = direction;
    stream->format = format_of(format);
    return reinterpret_cast<SoapySDR::Stream *>(stream.release());
}

void Device::closeStream(SoapySDR::Stream *handle) {
    deactivateStream(handle, 0, 0);
    delete reinterpret_cast<Stream *>(handle);
}

int Device::activateStream(SoapySDR::Stream *handle, int, long long, size_t) {
    auto &stream = *reinterpret_cast<Stream *>(handle);
    const double rate = getSampleRate(stream.direction, 0);
    {
        std::lock_guard<std::mutex> lock(mutex_);
        const bool other = stream.direction == SOAPY_SDR_TX ? receiving_ : transmitting_;
        if (other && !settings_.personality.full_duplex) {
            return SOAPY_SDR_NOT_SUPPORTED;
        }
    }
    if (stream.direction == SOAPY_SDR_TX) {
        if (!stream.transmitter) {
            stream.transmitter = std::make_unique<Transmitter>(settings_, rate);
            stream.filling.clear();
            stream.held.clear();
            stream.sent = stream.buffers = 0;
        }
    } else if (!stream.receiver) {
        auto receiver = std::make_unique<Receiver>(settings_, rate);
        if (!receiver->wait_established(std::max(ESTABLISH_MS, settings_.silence_ms))) {
            return SOAPY_SDR_STREAM_ERROR;
        }
        stream.receiver = std::move(receiver);
        stream.unread = 0;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    (stream.direction == SOAPY_SDR_TX ? transmitting_ : receiving_) = true;
    return 0;
}

int Device::deactivateStream(SoapySDR::Stream *handle, int, long long) {
    auto &stream = *reinterpret_cast<Stream *>(handle);
    if (stream.transmitter) {
        // The last whole buffer is cut off; if a program has just filled one, that is the last.
        if (stream.filling.size() == settings_.personality.mtu) {
            (void)write_whole_buffers(stream, nullptr, 0, FINISH_US);
        }
        stream.transmitter->finish(FINISH_US);
        stream.transmitter.reset();
    }
    stream.receiver.reset();
    std::lock_guard<std::mutex> lock(mutex_);
    (stream.direction == SOAPY_SDR_TX ? transmitting_ : receiving_) = false;
    return 0;
}

int Device::readStream(SoapySDR::Stream *handle, void *const *buffers, size_t elements, int &flags, long long &time_ns,
    long timeout_us) {
    auto &stream = *reinterpret_cast<Stream *>(handle);
    flags = 0;
    if (!stream.receiver) {
        return stream.direction == SOAPY_SDR_RX ? SOAPY_SDR_TIMEOUT : SOAPY_SDR_NOT_SUPPORTED;
    }
    const Personality &self = settings_.personality;
    std::size_t most = std::min(elements, self.mtu);
    std::size_t least = 1;
    if (self.whole_buffers) {
        least = stream.unread == 0 ? self.mtu : 1;
        most = stream.unread == 0 ? most : std::min(most, stream.unread);
    }
    stream.scratch.resize(most);
    const ReadResult result = stream.receiver->read(stream.scratch.data(), most, least, timeout_us);
    if (self.has_time && (result.code > 0 || result.code == SOAPY_SDR_OVERFLOW)) {
        std::lock_guard<std::mutex> lock(mutex_);
        flags |= SOAPY_SDR_HAS_TIME;
        time_ns = epoch_ns_ + to_ns(result.first_sample, rate_hz_);
    }
    if (result.code == SOAPY_SDR_OVERFLOW) {
        flags |= SOAPY_SDR_END_ABRUPT;
        stream.unread = 0;
    }
    if (result.code <= 0) {
        return result.code;
    }
    const auto count = static_cast<std::size_t>(result.code);
    if (self.whole_buffers) {
        stream.unread = (stream.unread == 0 ? self.mtu : stream.unread) - count;
    }
    float gain = amplitude(SOAPY_SDR_RX);
    if (self.eight_bit) {
        for (std::size_t i = 0; i < count; i++) {
            stream.scratch[i] *= gain;
        }
        quantise_8_bit(stream.scratch.data(), count);
        gain = 1.0F;
    }
    to_host(stream.scratch.data(), count, gain, stream.format, buffers[0], 0);
    return result.code;
}

int Device::writeStream(SoapySDR::Stream *handle, const void *const *buffers, size_t elements, int &flags,
    long long time_ns, long timeout_us) {
    auto &stream = *reinterpret_cast<Stream *>(handle);
    if (!stream.transmitter) {
        return SOAPY_SDR_NOT_SUPPORTED;
    }
    if (settings_.personality.whole_buffers) {
        return write_whole_buffers(stream, buffers[0], elements, timeout_us);
    }
    const std::size_t count = std::min(elements, MOST_AT_ONCE);
    stream.scratch.resize(count);
    from_host(buffers[0], stream.format, count, amplitude(SOAPY_SDR_TX), stream.scratch.data());
    std::optional<long long> time;
    if ((flags & SOAPY_SDR_HAS_TIME) != 0) {
        std::lock_guard<std::mutex> lock(mutex_);
        time = to_samples(time_ns - epoch_ns_, rate_hz_);
    }
    const bool end = (flags & SOAPY_SDR_END_BURST) != 0 && count == elements;
    return stream.transmitter->write(stream.scratch.data(), count, time, end, timeout_us);
}

// Collects whole buffers. One goes out when the next is full, so that the last never does.
int Device::write_whole_buffers(Stream &stream, const void *buffer, size_t elements, long timeout_us) {
    const Personality &self = settings_.personality;
    if (stream.filling.size() == self.mtu) {
        while (stream.sent < stream.held.size()) {
            const int taken = stream.transmitter->write(stream.held.data() + stream.sent,
                stream.held.size() - stream.sent, std::nullopt, false, timeout_us);
            if (taken < 0) {
                stream.sent = taken == SOAPY_SDR_TIMEOUT ? stream.sent : stream.held.size();
                return taken;
            }
            stream.sent += static_cast<std::size_t>(taken);
        }
        stream.held.swap(stream.filling);
        stream.filling.clear();
        stream.sent = 0;
        if (stream.buffers < self.buffers_lost_at_start) {
            std::fill(stream.held.begin(), stream.held.end(), Sample{});
        }
        stream.buffers += 1;
    }
    const std::size_t count = std::min(elements, self.mtu - stream.filling.size());
    stream.scratch.resize(count);
    from_host(buffer, stream.format, count, 1.0F, stream.scratch.data());
    quantise_8_bit(stream.scratch.data(), count);
    const float gain = amplitude(SOAPY_SDR_TX);
    for (Sample &sample : stream.scratch) {
        sample *= gain;
    }
    stream.filling.insert(stream.filling.end(), stream.scratch.begin(), stream.scratch.end());
    return static_cast<int>(count);
}

int Device::readStreamStatus(
    SoapySDR::Stream *handle, size_t &channels, int &flags, long long &time_ns, long timeout_us) {
    auto &stream = *reinterpret_cast<Stream *>(handle);
    if (stream.direction != SOAPY_SDR_TX) {
        return SOAPY_SDR_NOT_SUPPORTED;
    }
    TransmitEvent event;
    if (!stream.transmitter || !stream.transmitter->next_event(event, timeout_us)) {
        return SOAPY_SDR_TIMEOUT;
    }
    channels = 1;
    flags = event.flags;
    if ((flags & SOAPY_SDR_HAS_TIME) != 0) {
        std::lock_guard<std::mutex> lock(mutex_);
        time_ns = epoch_ns_ + event.time_ns;
    }
    return event.code;
}

std::vector<std::string> Device::listAntennas(int direction, size_t) const {
    return {direction == SOAPY_SDR_TX ? "TX" : "RX"};
}

void Device::setAntenna(int direction, size_t, const std::string &name) {
    if (name != getAntenna(direction, 0)) {
        throw std::runtime_error("semcast-air: antenna " + name + " is not known: there is " + getAntenna(direction, 0));
    }
}

std::string Device::getAntenna(int direction, size_t) const {
    return listAntennas(direction, 0).front();
}

const Chain &Device::chain(int direction) const {
    return direction == SOAPY_SDR_TX ? settings_.personality.transmit : settings_.personality.receive;
}

const Gain &Device::gain(int direction, const std::string &name) const {
    for (const Gain &each : chain(direction).gains) {
        if (each.name == name) {
            return each;
        }
    }
    throw std::runtime_error("semcast-air: there is no gain " + name);
}

std::vector<std::string> Device::listGains(int direction, size_t) const {
    std::vector<std::string> names;
    for (const Gain &each : chain(direction).gains) {
        names.push_back(each.name);
    }
    return names;
}

void Device::setGain(int direction, size_t, const std::string &name, double value) {
    const Gain &found = gain(direction, name);
    double kept = std::isfinite(value) ? std::clamp(value, found.least_db, found.most_db) : found.default_db;
    if (found.step_db > 0.0) {
        kept = found.least_db + std::floor((kept - found.least_db) / found.step_db) * found.step_db;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    gains_[{direction, name}] = kept;
}

double Device::getGain(int direction, size_t, const std::string &name) const {
    (void)gain(direction, name);
    std::lock_guard<std::mutex> lock(mutex_);
    return gains_.at({direction, name});
}

SoapySDR::Range Device::getGainRange(int direction, size_t, const std::string &name) const {
    const Gain &found = gain(direction, name);
    return {found.least_db, found.most_db, found.step_db};
}

// One stage alone is the whole; SoapySDR would count it from its least gain.
void Device::setGain(int direction, size_t channel, double value) {
    if (chain(direction).gains.size() == 1) {
        setGain(direction, channel, chain(direction).gains.front().name, value);
    } else {
        SoapySDR::Device::setGain(direction, channel, value);
    }
}

double Device::getGain(int direction, size_t channel) const {
    double sum_db = 0.0;
    for (const Gain &each : chain(direction).gains) {
        sum_db += getGain(direction, channel, each.name);
    }
    return sum_db;
}

SoapySDR::Range Device::getGainRange(int direction, size_t) const {
    double least_db = 0.0;
    double most_db = 0.0;
    for (const Gain &each : chain(direction).gains) {
        least_db += each.least_db;
        most_db += each.most_db;
    }
    return {least_db, most_db};
}

float Device::amplitude(int direction) const {
    std::lock_guard<std::mutex> lock(mutex_);
    double sum_db = -chain(direction).unity_db;
    for (const Gain &each : chain(direction).gains) {
        sum_db += gains_.at({direction, each.name});
    }
    return static_cast<float>(std::pow(10.0, sum_db / 20.0));
}

void Device::setFrequency(
    int direction, size_t, const std::string &name, double frequency, const SoapySDR::Kwargs &) {
    if (name != "RF" || !(frequency >= LEAST_FREQUENCY_HZ && frequency <= MOST_FREQUENCY_HZ)) {
        throw std::runtime_error("semcast-air: frequency " + name + " " + std::to_string(frequency) +
            " Hz is not allowed: expected RF, 1 MHz to 6 GHz");
    }
    std::lock_guard<std::mutex> lock(mutex_);
    frequency_hz_[index_of(direction)] = frequency;
}

double Device::getFrequency(int direction, size_t, const std::string &) const {
    std::lock_guard<std::mutex> lock(mutex_);
    return frequency_hz_[index_of(direction)];
}

SoapySDR::RangeList Device::getFrequencyRange(int, size_t, const std::string &) const {
    return {{LEAST_FREQUENCY_HZ, MOST_FREQUENCY_HZ}};
}

void Device::setSampleRate(int, size_t, double rate) {
    if (!(rate >= LEAST_RATE_HZ && rate <= MOST_RATE_HZ)) {
        throw std::runtime_error("semcast-air: sample rate " + std::to_string(rate) +
            " Hz is not allowed: expected 10000 to 100000000");
    }
    const auto now = probe(PROBE_MS);
    if (now && now->sample_rate_hz != rate) {
        throw std::runtime_error("semcast-air: the air runs at " + std::to_string(now->sample_rate_hz) +
            " Hz: no other sample rate is possible");
    }
    std::lock_guard<std::mutex> lock(mutex_);
    rate_hz_ = rate;
}

double Device::getSampleRate(int, size_t) const {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (rate_hz_ > 0.0) {
            return rate_hz_;
        }
    }
    const auto now = probe(PROBE_MS);
    return now ? now->sample_rate_hz : 7.68e6;
}

SoapySDR::RangeList Device::getSampleRateRange(int, size_t) const {
    const auto now = probe(PROBE_MS);
    if (now) {
        return {{now->sample_rate_hz, now->sample_rate_hz}};
    }
    return {{LEAST_RATE_HZ, MOST_RATE_HZ}};
}

void Device::setBandwidth(int direction, size_t, double bandwidth) {
    if (!(bandwidth >= 0.0 && bandwidth <= MOST_RATE_HZ)) {
        throw std::runtime_error("semcast-air: bandwidth " + std::to_string(bandwidth) +
            " Hz is not allowed: expected 0 to 100000000");
    }
    std::lock_guard<std::mutex> lock(mutex_);
    bandwidth_hz_[index_of(direction)] = bandwidth;
}

double Device::getBandwidth(int direction, size_t) const {
    std::lock_guard<std::mutex> lock(mutex_);
    return bandwidth_hz_[index_of(direction)];
}

SoapySDR::RangeList Device::getBandwidthRange(int, size_t) const {
    return {{LEAST_RATE_HZ, MOST_RATE_HZ}};
}

long long Device::getHardwareTime(const std::string &) const {
    const double rate = getSampleRate(SOAPY_SDR_RX, 0);
    const auto now = probe(PROBE_MS);
    std::lock_guard<std::mutex> lock(mutex_);
    return epoch_ns_ + (now ? to_ns(now->sample, rate) : 0);
}

void Device::setHardwareTime(long long time_ns, const std::string &) {
    const long long now = getHardwareTime("");
    std::lock_guard<std::mutex> lock(mutex_);
    epoch_ns_ += time_ns - now;
}

} // namespace air
