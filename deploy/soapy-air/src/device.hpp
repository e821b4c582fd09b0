// The SoapySDR device: settings that programs make, and streams over a Transmitter and a Receiver.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <SoapySDR/Device.hpp>

#include "clock.hpp"
#include "receiver.hpp"
#include "settings.hpp"
#include "transmitter.hpp"

namespace air {

class Device : public SoapySDR::Device {
public:
    // Throws std::runtime_error when an argument is wrong. The air need not be there yet.
    explicit Device(const SoapySDR::Kwargs &arguments);
    ~Device() override;

    std::string getDriverKey() const override { return "semcast-air"; }
    std::string getHardwareKey() const override { return settings_.personality.name; }
    SoapySDR::Kwargs getHardwareInfo() const override;
    size_t getNumChannels(int) const override { return 1; }
    bool getFullDuplex(int, size_t) const override { return settings_.personality.full_duplex; }

    std::vector<std::string> getStreamFormats(int, size_t) const override { return {"CF32", "CS16", "CS8"}; }
    std::string getNativeStreamFormat(int, size_t, double &full_scale) const override;
    SoapySDR::Stream *setupStream(int direction, const std::string &format, const std::vector<size_t> &channels,
        const SoapySDR::Kwargs &arguments) override;
    void closeStream(SoapySDR::Stream *stream) override;
    size_t getStreamMTU(SoapySDR::Stream *) const override { return settings_.personality.mtu; }
    int activateStream(SoapySDR::Stream *stream, int flags, long long time_ns, size_t elements) override;
    int deactivateStream(SoapySDR::Stream *stream, int flags, long long time_ns) override;
    int readStream(SoapySDR::Stream *stream, void *const *buffers, size_t elements, int &flags, long long &time_ns,
        long timeout_us) override;
    int writeStream(SoapySDR::Stream *stream, const void *const *buffers, size_t elements, int &flags, long long time_ns,
        long timeout_us) override;
    int readStreamStatus(SoapySDR::Stream *stream, size_t &channels, int &flags, long long &time_ns,
        long timeout_us) override;

    std::vector<std::string> listAntennas(int direction, size_t) const override;
    void setAntenna(int direction, size_t, const std::string &name) override;
    std::string getAntenna(int direction, size_t) const override;

    std::vector<std::string> listGains(int direction, size_t) const override;
    void setGain(int direction, size_t channel, const std::string &name, double value) override;
    double getGain(int direction, size_t channel, const std::string &name) const override;
    SoapySDR::Range getGainRange(int direction, size_t channel, const std::string &name) const override;
    void setGain(int direction, size_t channel, double value) override;
    double getGain(int direction, size_t channel) const override;
    SoapySDR::Range getGainRange(int direction, size_t channel) const override;

    std::vector<std::string> listFrequencies(int, size_t) const override { return {"RF"}; }
    void setFrequency(int direction, size_t, const std::string &name, double frequency, const SoapySDR::Kwargs &) override;
    double getFrequency(int direction, size_t, const std::string &name) const override;
    SoapySDR::RangeList getFrequencyRange(int, size_t, const std::string &) const override;
    using SoapySDR::Device::getFrequency;
    using SoapySDR::Device::getFrequencyRange;
    using SoapySDR::Device::setFrequency;

    void setSampleRate(int direction, size_t, double rate) override;
    double getSampleRate(int, size_t) const override;
    SoapySDR::RangeList getSampleRateRange(int, size_t) const override;
    void setBandwidth(int direction, size_t, double bandwidth) override;
    double getBandwidth(int direction, size_t) const override;
    SoapySDR::RangeList getBandwidthRange(int, size_t) const override;

    bool hasHardwareTime(const std::string &) const override { return settings_.personality.has_time; }
    long long getHardwareTime(const std::string &) const override;
    void setHardwareTime(long long time_ns, const std::string &) override;

private:
    struct Stream;

    const Chain &chain(int direction) const;
    const Gain &gain(int direction, const std::string &name) const;
    float amplitude(int direction) const;
    int write_whole_buffers(Stream &stream, const void *buffer, size_t elements, long timeout_us);
    std::optional<AirTime> probe(int timeout_ms) const;

    const Settings settings_;
    mutable std::mutex mutex_;
    double rate_hz_ = 0.0;
    std::map<std::pair<int, std::string>, double> gains_;
    double frequency_hz_[2] = {100e6, 100e6};
    double bandwidth_hz_[2] = {0.0, 0.0};
    long long epoch_ns_ = 0;
    bool transmitting_ = false;
    bool receiving_ = false;
};

} // namespace air
