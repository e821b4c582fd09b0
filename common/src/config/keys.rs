//! The table of all keys: meaning, and what a value may be.

use super::value::Rule;

/// A setting.
#[derive(Debug)]
pub struct Key {
    /// Section and name, with a dot between them.
    pub name: &'static str,
    /// What it is, with its unit: the comment in `--print-config`.
    pub meaning: &'static str,
    /// What its value may be.
    pub rule: Rule,
}

impl Key {
    /// Section, name.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// The environment variable that sets it, such as `SEMCAST_AIR_SNR_DB`.
    pub fn variable(&self) -> String {
        format!("{}{}", super::VARIABLE_PREFIX, self.name.replace('.', "_").to_uppercase())
    }
}

const fn key(name: &'static str, meaning: &'static str, rule: Rule) -> Key {
    Key { name, meaning, rule }
}

const DEVICES: &[&str] = &["auto", "cpu", "wgpu"];

/// All settings, in the order of `--print-config`.
pub const KEYS: &[Key] = &[
    key("radio.sample_rate_hz", "complex samples per second", Rule::Real(10e3, 100e6)),
    key("radio.fft_size", "length of the DFT in samples, a power of two", Rule::Whole(64, 4096)),
    key("radio.cyclic_prefix", "length of the cyclic prefix in samples", Rule::Whole(4, 2048)),
    key("radio.resource_blocks", "occupied blocks of 12 subcarriers", Rule::Whole(2, 298)),
    key("air.transmit_addr", "UDP address that takes samples from transmitters", Rule::Address),
    key("air.receive_addr", "UDP address that gives samples to receivers", Rule::Address),
    key("air.raw_input", "UDP address that takes samples without headers; not set: none", Rule::Address),
    key("air.raw_output", "UDP address to which samples go without headers; not set: none", Rule::Address),
    key("air.raw_format", "samples without headers", Rule::Choice(&["cf32", "ci16"])),
    key("air.http", "TCP address of the air's page and HTTP interface; not set: none", Rule::Address),
    key("air.snr_db", "Es/N0 per resource element at the receiver, in dB", Rule::Real(-30.0, 100.0)),
    key(
        "air.channel",
        "awgn, rayleigh, rician, rician:K_DB, multipath, multipath-rayleigh, tdl-a to tdl-e, tdl-a:DELAY_SPREAD_NS, \
         epa, eva, etu, or taps:DELAY_NS/POWER_DB,…",
        Rule::Text,
    ),
    key("air.doppler_hz", "Doppler spread of fading taps, in Hz", Rule::Real(0.0, 10e3)),
    key("air.cfo_hz", "carrier frequency offset, in Hz", Rule::Real(-10e6, 10e6)),
    key("air.clock_offset_ppm", "offset of the sampling clock, in ppm", Rule::Real(-1000.0, 1000.0)),
    key("air.delay_samples", "bulk delay, in samples", Rule::Whole(0, 16_777_216)),
    key("air.metrics_addr", "TCP address of the air's metrics for Prometheus; not set: none", Rule::Address),
    key(
        "air.pacing",
        "fast (as fast as both ends can) or paced (at the sample rate)",
        Rule::Choice(&["fast", "paced"]),
    ),
    key("air.seed", "seed of channel taps and noise", Rule::Whole(0, i64::MAX)),
    key("air.dac_bits", "bits of the transmitter's converter; not set: exact", Rule::Whole(1, 24)),
    key("air.dac_full_scale_db", "its full scale over the mean amplitude, in dB", Rule::Real(-60.0, 60.0)),
    key("air.amplifier", "power amplifier: none, rapp, rapp:SMOOTHNESS or saleh", Rule::Text),
    key("air.backoff_db", "saturation of the amplifier over the mean power, in dB", Rule::Real(-10.0, 40.0)),
    key("air.phase_noise_hz", "line width of the transmitter's oscillator, in Hz", Rule::Real(0.0, 1e6)),
    key(
        "air.phase_noise_loop_hz",
        "bandwidth of the loop that holds it, in Hz; 0: none",
        Rule::Real(0.0, 1e7),
    ),
    key("air.iq_gain_db", "gain of one branch of its mixer over the other's, in dB", Rule::Real(-6.0, 6.0)),
    key("air.iq_phase_deg", "phase error between the branches, in degrees", Rule::Real(-45.0, 45.0)),
    key("air.dropouts_per_s", "dropouts of the signal a second, on average", Rule::Real(0.0, 1e4)),
    key("air.dropout_ms", "length of a dropout, in ms", Rule::Real(1e-3, 1e4)),
    key(
        "air.interferers",
        "none, or up to 8 of KIND/POWER_DB[/offset=HZ][/duty=SHARE][/burst=MS],… with KIND tone, noise or ofdm",
        Rule::Text,
    ),
    key("air.gain_db", "gain of the receiver's front end, in dB", Rule::Real(-100.0, 100.0)),
    key("air.agc_range_db", "range of its gain control, ± dB; not set: fixed gain", Rule::Real(0.0, 100.0)),
    key("air.agc_time_us", "time constant of the gain control, in µs", Rule::Real(1.0, 1e6)),
    key(
        "air.dc_offset_db",
        "power of a DC offset over the signal's, in dB; not set: none",
        Rule::Real(-100.0, 20.0),
    ),
    key("air.adc_bits", "bits of the receiver's converter; not set: exact", Rule::Whole(1, 24)),
    key("air.adc_full_scale_db", "its full scale over the mean amplitude, in dB", Rule::Real(-60.0, 60.0)),
    key("air.loss", "share of the datagrams to receivers that are lost", Rule::Real(0.0, 0.9)),
    key("air.loss_burst", "datagrams that are lost in a row, on average", Rule::Real(1.0, 1000.0)),
    key("soapy.frequency_hz", "centre of the signal, in Hz", Rule::Real(0.0, 300e9)),
    key("soapy.transmit_gain", "gain of a transmitter in dB: 20, or stages such as VGA=20,AMP=0", Rule::Text),
    key(
        "soapy.receive_gain",
        "gain of a receiver in dB: 40, stages such as LNA=16,VGA=20, or auto",
        Rule::Text,
    ),
    key("soapy.transmit_antenna", "antenna port of a transmitter", Rule::Text),
    key("soapy.receive_antenna", "antenna port of a receiver", Rule::Text),
    key("soapy.bandwidth_hz", "analog filter, in Hz", Rule::Real(1.0, 300e9)),
    key(
        "soapy.offset_hz",
        "distance of the oscillator from the signal in Hz, for devices that shift digitally",
        Rule::Real(-100e6, 100e6),
    ),
    key(
        "soapy.correction_ppm",
        "correction of the device's reference clock, in ppm",
        Rule::Real(-200.0, 200.0),
    ),
    key(
        "soapy.format",
        "samples of the device, instead of its own format",
        Rule::Choice(&["cs8", "cs16", "cf32"]),
    ),
    key("soapy.level_dbfs", "mean level of what is sent, in dB of full scale", Rule::Real(-60.0, 0.0)),
    key("soapy.channel", "channel of the device", Rule::Whole(0, 63)),
    key("soapy.dc_filter", "false: the mean of what is received is not taken out", Rule::Switch),
    key(
        "soapy.pad_buffers",
        "buffers of silence before each burst, and one behind, instead of what the device is known to need",
        Rule::Whole(0, 64),
    ),
    key(
        "soapy.ahead_ms",
        "bursts carry a time so many ms ahead, on devices that keep time; 0: as soon as possible",
        Rule::Whole(0, 10_000),
    ),
    key("control.listen", "QUIC address on which the transmitter listens", Rule::Address),
    key("control.connect", "QUIC address of the transmitter, for receivers and `send`", Rule::Address),
    key(
        "control.watch_listen",
        "QUIC address on which the receiver listens, and `watch` finds it",
        Rule::Address,
    ),
    key("control.key", "private key file made by `semcast keygen`", Rule::Text),
    key("control.peers", "trusted peers: fingerprints or certificate files", Rule::TextList),
    key("control.feedback", "false: transmit one way, without any control link", Rule::Switch),
    key(
        "transmitter.radio",
        "what it sends through: udp:HOST:PORT (an air; the default is that of air.transmit_addr) or soapy:driver=NAME,key=value,...",
        Rule::Text,
    ),
    key(
        "transmitter.system",
        "classical, ae, ae-ms-ssim, vae, vscc, sct-modular or sct-integrated",
        Rule::Choice(&["classical", "ae", "ae-ms-ssim", "vae", "vscc", "sct-modular", "sct-integrated"]),
    ),
    key(
        "transmitter.variance",
        "variance of the values of vae and vscc: fixed (both ends know a mean) or transmitted (twice the symbols)",
        Rule::Choice(&["fixed", "transmitted"]),
    ),
    key(
        "transmitter.cbr",
        "net channel bandwidth ratio: symbols per RGB sample or byte of text",
        Rule::Real(0.0001, 16.0),
    ),
    key(
        "transmitter.design_snr_db",
        "SNR to prepare messages for, in dB, instead of what the receiver reports",
        Rule::Real(-20.0, 60.0),
    ),
    key(
        "transmitter.frames",
        "how robust they are: auto (by what receivers report), normal (short) or robust (heard far below the noise)",
        Rule::Choice(&["auto", "normal", "robust"]),
    ),
    key(
        "transmitter.allocation",
        "resource blocks for features of a message: by importance, or for comparison none, random, equal, inverse",
        Rule::Choice(&["none", "importance", "random", "equal", "inverse"]),
    ),
    key(
        "transmitter.peak_limit_db",
        "lower peaks towards so many dB above the mean power, at the cost of some noise of its own",
        Rule::Real(3.0, 15.0),
    ),
    key("transmitter.device", "where models run: auto, cpu or wgpu", Rule::Choice(DEVICES)),
    key(
        "transmitter.metrics_addr",
        "TCP address of its metrics for Prometheus; not set: none",
        Rule::Address,
    ),
    key("transmitter.max_resends", "most rounds of resending", Rule::Whole(0, 100)),
    key(
        "receiver.radio",
        "what it listens to: udp:HOST:PORT (an air; the default is that of air.receive_addr) or soapy:driver=NAME,key=value,...",
        Rule::Text,
    ),
    key("receiver.device", "where models run: auto, cpu or wgpu", Rule::Choice(DEVICES)),
    key("receiver.metrics_addr", "TCP address of its metrics for Prometheus; not set: none", Rule::Address),
    key("receiver.output_dir", "folder for what arrives", Rule::Text),
    key(
        "ae.transform",
        "what the system ae works on: convolutional (its own network) or taef2 (latents of TAEF2); alike at both ends",
        Rule::Choice(&["convolutional", "taef2"]),
    ),
    key(
        "ae.transform_weights",
        "for taef2, its two files: taef2_encoder.pth and taef2_decoder.pth, or the same as safetensors",
        Rule::TextList,
    ),
    key("sct.correction", "false: regions that were lost are not repaired", Rule::Switch),
    key(
        "sct.segmentation",
        "what tells a sender of sct-modular and sct-integrated what it sees: small, espnet, espnetv2, or none",
        Rule::Choice(&["small", "espnet", "espnetv2", "none"]),
    ),
    key("sct.segmentation_weights", "file of espnet or espnetv2, such as espnet_p_2_q_8.pth", Rule::Text),
    key(
        "sct.machine_weights",
        "file of weights of the machine mode of sct-modular and sct-integrated, from semcast train machine",
        Rule::Text,
    ),
    key(
        "sct.classifier",
        "SqueezeNet 1.1, whose class gradcam is about then: ncnn's .param, torchvision's .pth, or .safetensors",
        Rule::Text,
    ),
    key("log.filter", "what is logged, such as info or semcast_phy=debug,warn", Rule::Text),
];

/// Edit distance between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The candidate that is most like `name`; of equals the first.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Only the beginning counts, so that the work stays small whatever the input is.
    let name: String = name.chars().take(64).collect();
    candidates.into_iter().min_by_key(|candidate| distance(&name, candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn variables_are_distinct() {
        let mut names: Vec<_> = KEYS.iter().map(Key::variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
    }
}
