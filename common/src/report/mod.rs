//! Reports: what a transmission cost, how good it was, and where the time went.
//!
//! [`TransmitterPart`] + [`ReceiverPart`] + [`Quality`] → [`Report`] → JSON, or a table on the terminal.
//! Quality figures are measured where the original and the received content meet; the rest is what each end
//! knows of its own. A number that is not known, or is infinite, is `null` in JSON.

mod percentiles;
mod table;
mod waterfall;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use percentiles::{LatencySummary, Percentiles};
pub use table::{Table, number};
pub use waterfall::{Timeline, Waterfall};

use crate::clock::ClockOffset;
use crate::content::labels::Share;
use crate::message::SystemId;
use crate::wire::{ContentKind, Overhead, ReceiverPart, TransmitterPart};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Where the time went, in ms. Stages overlap where the link works on frames as they come, so they need not
/// add up to the total.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Content to semantic message.
    #[serde(with = "finite_or_null")]
    pub encode: f64,
    /// Semantic message to samples.
    #[serde(with = "finite_or_null")]
    pub modulate: f64,
    /// From the first sample handed to the radio until the last one was received.
    #[serde(with = "finite_or_null")]
    pub air: f64,
    /// Samples to segments.
    #[serde(with = "finite_or_null")]
    pub demodulate: f64,
    /// Segments to content.
    #[serde(with = "finite_or_null")]
    pub decode: f64,
    /// From the content at the transmitter to the content at the receiver.
    #[serde(with = "finite_or_null")]
    pub total: f64,
}

/// What was set, as opposed to measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Seed of channel, noise and resampling.
    pub seed: u64,
    /// Channel model.
    pub channel: String,
    /// SNR that the air was set to, in dB; NaN if unknown.
    pub snr_db: f64,
    /// What is known of the clocks of the two ends.
    pub clocks: Clocks,
}

/// How times of the receiver are compared with times of the transmitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Both ends read the same clock.
    One,
    /// The receiver's is ahead by so much.
    Apart(ClockOffset),
    /// Nothing is known: no time of one end is compared with one of the other.
    Unknown,
}

impl Clocks {
    /// The estimate of the control link, if there is one; else what is known `without` it.
    pub fn estimated_or(estimate: Option<ClockOffset>, without: Self) -> Self {
        estimate.map_or(without, Self::Apart)
    }

    /// A time of the receiver by the transmitter's clock, both in µs since the Unix epoch.
    fn at_transmitter(self, receiver_unix_us: u64) -> Option<i128> {
        match self {
            Self::One => Some(i128::from(receiver_unix_us)),
            Self::Apart(clock) => Some(i128::from(receiver_unix_us) - i128::from(clock.offset_us)),
            Self::Unknown => None,
        }
    }

    fn estimate(self) -> Option<ClockOffset> {
        match self {
            Self::Apart(clock) => Some(clock),
            Self::One | Self::Unknown => None,
        }
    }
}

/// How close the received content is to the original. NaN for what was not measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// Peak signal-to-noise ratio of a picture, in dB; infinite if equal.
    pub psnr_db: f64,
    /// Structural similarity of a picture.
    pub ssim: f64,
    /// Multi-scale structural similarity of a picture.
    pub ms_ssim: f64,
    /// Edit distance between texts, over the length of the original.
    pub text_error_rate: f64,
    /// Share of the blocks of a picture whose class is that which the sender's segmentation network tells, where it tells one.
    pub task_accuracy: f64,
    /// What there is of each class in a picture that was for a machine.
    pub classes: Vec<Share>,
}

impl Default for Quality {
    fn default() -> Self {
        let nan = f64::NAN;
        Self {
            psnr_db: nan,
            ssim: nan,
            ms_ssim: nan,
            text_error_rate: nan,
            task_accuracy: nan,
            classes: Vec::new(),
        }
    }
}

/// One transmission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The system that was used.
    pub system: SystemId,
    /// Seed of channel, noise and resampling.
    pub seed: u64,
    /// Channel model.
    pub channel: String,
    /// SNR that the air was set to, Es/N0 per resource element, in dB.
    #[serde(with = "finite_or_null")]
    pub snr_db_set: f64,
    /// SNR that the receiver estimated, in dB.
    #[serde(with = "finite_or_null")]
    pub snr_db_estimated: f64,
    /// Size of the picture; `null` for text.
    pub image: Option<ImageSize>,
    /// Resource elements that carried payload.
    pub symbols_payload: u64,
    /// Everything on the air, in resource elements.
    pub symbols_total: u64,
    /// `symbols_payload` per source value (RGB sample of a picture, byte of a text).
    #[serde(with = "finite_or_null")]
    pub cbr_net: f64,
    /// `symbols_total` per source value.
    #[serde(with = "finite_or_null")]
    pub cbr_gross: f64,
    /// Bits that `symbols_total` could have carried at the estimated SNR: Σ log2(1 + SNR).
    #[serde(with = "finite_or_null")]
    pub shannon_bits: f64,
    /// What of `symbols_total` is no payload, by cause.
    #[serde(default)]
    pub overhead: Overhead,
    /// The same together, in per cent of `symbols_payload`.
    #[serde(with = "finite_or_null", default = "nan")]
    pub overhead_percent: f64,
    /// Time on the air at the nominal sample rate, in ms.
    #[serde(with = "finite_or_null")]
    pub airtime_ms: f64,
    /// Peak signal-to-noise ratio, in dB; `null` for text and for equal pictures.
    #[serde(with = "finite_or_null")]
    pub psnr_db: f64,
    /// Structural similarity; `null` for text.
    #[serde(with = "finite_or_null")]
    pub ssim: f64,
    /// Multi-scale structural similarity; `null` for text.
    #[serde(with = "finite_or_null")]
    pub ms_ssim: f64,
    /// Bytes of the content as submitted: the picture file, or the text.
    pub bytes_source: u64,
    /// Frames sent, repeats included.
    pub frames_sent: u32,
    /// Frames received.
    pub frames_received: u32,
    /// Frames sent again because the receiver asked.
    pub resends: u32,
    /// Where the time went.
    pub latency_ms: Latency,
    /// When each step began and ended.
    #[serde(default)]
    pub timeline_ms: Timeline,
    /// How far the receiver's clock was ahead of the transmitter's; what `latency_ms` and `timeline_ms` tell from one end to the
    /// other is corrected by it, and so certain. `null` if both read one clock, or if it is not known: then those are `null`, too.
    #[serde(default)]
    pub clock: Option<ClockOffset>,
    /// Whether the received content equals the original; `null` if not compared.
    #[serde(default)]
    pub exact: Option<bool>,
    /// Edit distance between texts, over the length of the original; `null` for pictures.
    #[serde(with = "finite_or_null", default = "nan")]
    pub text_error_rate: f64,
    /// Of a picture for a machine, the share of its blocks whose class is that which the sender's segmentation network tells,
    /// where it tells one; `null` if it has none.
    #[serde(with = "finite_or_null", default = "nan")]
    pub task_accuracy: f64,
    /// What there is of each class in a picture that was for a machine; else empty.
    #[serde(default)]
    pub classes: Vec<Share>,
    /// How sure the decoder was, 0 to 1.
    #[serde(with = "finite_or_null", default = "nan")]
    pub confidence: f64,
    /// Bytes that the channel code carried; 0 when all went as analog symbols.
    #[serde(default)]
    pub bytes_coded: u64,
    /// Bytes of coded features and symbols of analog ones that never arrived.
    #[serde(default)]
    pub missing: u64,
    /// Modulation and code rate of the payload; empty for analog payloads.
    #[serde(default)]
    pub mcs: String,
    /// Mode of the frames: `normal`, `robust`, or the one and then the other.
    #[serde(default)]
    pub mode: String,
    /// Coded segments that came intact only by combining two or more transmissions of them.
    #[serde(default)]
    pub segments_combined: u32,
    /// Carrier frequency offset that the receiver estimated, in Hz.
    #[serde(with = "finite_or_null", default = "nan")]
    pub cfo_hz_estimated: f64,
    /// Device of the encoder.
    #[serde(default)]
    pub device_transmitter: String,
    /// Device of the decoder.
    #[serde(default)]
    pub device_receiver: String,
}

/// NaN where there is no whole.
fn percent(part: u64, whole: u64) -> f64 {
    if whole > 0 { 100.0 * part as f64 / whole as f64 } else { f64::NAN }
}

fn nan() -> f64 {
    f64::NAN
}

impl Report {
    /// Puts the halves together. Without the receiver's half (no feedback, or nothing arrived) all that
    /// it would tell is unknown, and no frame was received.
    pub fn merge(
        setting: &Setting,
        transmitter: &TransmitterPart,
        receiver: Option<&ReceiverPart>,
        quality: Quality,
    ) -> Self {
        let real = |of: fn(&ReceiverPart) -> f32| receiver.map_or(f64::NAN, |part| f64::from(of(part)));
        let values = transmitter.content.values() as f64;
        let per_value = |symbols: u64| if values > 0.0 { symbols as f64 / values } else { f64::NAN };
        let snr_db_estimated = real(|part| part.snr_db_estimated);
        let sent = &transmitter.timings;
        let between = |start_us: u64, end: fn(&ReceiverPart) -> u64| {
            receiver.map_or(f64::NAN, |part| {
                let end_us = setting.clocks.at_transmitter(end(part));
                end_us.map_or(f64::NAN, |end_us| (end_us - i128::from(start_us)) as f64 / 1e3)
            })
        };
        Self {
            system: transmitter.system,
            seed: setting.seed,
            channel: setting.channel.clone(),
            snr_db_set: setting.snr_db,
            snr_db_estimated,
            image: match transmitter.content {
                ContentKind::Picture { width, height } => Some(ImageSize { width, height }),
                ContentKind::Text { .. } | ContentKind::Labels { .. } => None,
            },
            symbols_payload: transmitter.symbols_payload,
            symbols_total: transmitter.symbols_total(),
            cbr_net: per_value(transmitter.symbols_payload),
            cbr_gross: per_value(transmitter.symbols_total()),
            shannon_bits: shannon_bits(transmitter.symbols_total(), snr_db_estimated),
            overhead: transmitter.overhead,
            overhead_percent: percent(transmitter.overhead.total(), transmitter.symbols_payload),
            airtime_ms: transmitter.airtime_ms,
            psnr_db: quality.psnr_db,
            ssim: quality.ssim,
            ms_ssim: quality.ms_ssim,
            bytes_source: transmitter.bytes_source,
            frames_sent: transmitter.frames_sent,
            frames_received: receiver.map_or(0, |part| part.frames_received),
            resends: transmitter.resends,
            latency_ms: Latency {
                encode: f64::from(sent.encode_ms),
                modulate: f64::from(sent.modulate_ms),
                air: between(sent.first_sample_unix_us, |part| part.timings.last_sample_unix_us),
                demodulate: real(|part| part.timings.demodulate_ms),
                decode: real(|part| part.timings.decode_ms),
                total: between(sent.started_unix_us, |part| part.timings.decoded_unix_us),
            },
            timeline_ms: Timeline::new(sent, receiver.map(|part| &part.timings), setting.clocks),
            clock: receiver.and_then(|_| setting.clocks.estimate()),
            exact: None,
            text_error_rate: quality.text_error_rate,
            task_accuracy: quality.task_accuracy,
            classes: quality.classes,
            confidence: real(|part| part.confidence),
            bytes_coded: transmitter.bytes_coded,
            missing: receiver.map_or(0, |part| part.missing),
            mcs: transmitter.mcs.clone(),
            mode: transmitter.mode.clone(),
            segments_combined: receiver.map_or(0, |part| part.segments_combined),
            cfo_hz_estimated: real(|part| part.cfo_hz_estimated),
            device_transmitter: transmitter.device.clone(),
            device_receiver: receiver.map_or_else(String::new, |part| part.device.clone()),
        }
    }

    /// Indented JSON, with a line feed at its end.
    pub fn to_json(&self) -> String {
        // Maps with string keys and finite numbers only: this cannot fail, and a report is no reason to stop.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("\"{error}\""));
        json.push('\n');
        json
    }
}

/// Bits that so many symbols could carry at this SNR (Shannon, complex AWGN channel).
pub fn shannon_bits(symbols: u64, snr_db: f64) -> f64 {
    symbols as f64 * (1.0 + 10f64.powf(snr_db / 10.0)).log2()
}

mod finite_or_null {
    use super::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_none() }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests;
