//! What the emulated channel is asked to do: [`ChannelConfig`], and [`Profile`] with its names for
//! command lines and configuration files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::front_end::FrontEndConfig;
use super::interferer::Interferers;
use super::lte::LteModel;
use super::tdl::TdlModel;
use super::transmitter::TransmitterConfig;

/// Largest delay that a tap may have.
pub const MAX_TAP_DELAY_NS: f64 = 100_000.0;
/// Largest number of taps of a delay line.
pub const MAX_TAPS: usize = 64;
/// Largest number of samples that a delay line may span at the sample rate in use.
pub const MAX_SPAN_SAMPLES: f64 = 4096.0;
/// Largest bulk delay.
pub const MAX_DELAY_SAMPLES: u32 = 16_777_216;
/// Largest sampling-clock offset, either way.
pub const MAX_SAMPLING_OFFSET_PPM: f64 = 1000.0;

/// K factor of the profile named `rician` when none is given.
const DEFAULT_RICIAN_K_DB: f64 = 6.0;
/// Delay spread of the profiles `tdl-a` to `tdl-e` when none is given: "nominal" in TR 38.901.
const DEFAULT_DELAY_SPREAD_NS: f64 = 100.0;
/// Largest delay spread, for which the last tap of TDL-E is still in range.
const MAX_DELAY_SPREAD_NS: f64 = 4000.0;

/// Why a channel cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChannelError {
    /// A number lies outside what the model covers.
    #[error("{name} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Field of the configuration.
        name: &'static str,
        /// The value found there.
        value: f64,
        /// The allowed range, for people.
        allowed: String,
    },
    /// The profile's text was not understood.
    #[error(
        "unknown channel `{0}`: allowed are awgn, rayleigh, rician, rician:K_DB, multipath, \
         multipath-rayleigh, tdl-a to tdl-e, tdl-a:DELAY_SPREAD_NS, epa, eva, etu, or \
         taps:DELAY_NS/POWER_DB[/rayleigh|/rician=K_DB|/specular],… with 1 to {MAX_TAPS} taps"
    )]
    UnknownProfile(String),
    /// The amplifier's text was not understood.
    #[error("unknown amplifier `{0}`: allowed are none, rapp, rapp:SMOOTHNESS and saleh")]
    UnknownAmplifier(String),
    /// The text of the interferers was not understood.
    #[error(
        "unknown interferer `{0}`: allowed are none, or KIND/POWER_DB[/offset=HZ][/duty=SHARE][/burst=MS],… with \
         KIND tone, noise or ofdm, 8 at most"
    )]
    UnknownInterferer(String),
}

/// Refuses a value outside `low..=high`, and anything that is not a number.
pub(super) fn check(name: &'static str, value: f64, low: f64, high: f64) -> Result<(), ChannelError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ChannelError::OutOfRange { name, value, allowed: format!("{low} to {high}") })
}

/// Doppler shift of a specular path over the largest (3GPP TR 38.901, §7.7.2).
pub const SPECULAR_DOPPLER: f64 = 0.7;

/// How the gain of one tap behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fading {
    /// Fixed magnitude, phase drawn once from the seed.
    Static,
    /// Fixed magnitude, with a Doppler shift of [`SPECULAR_DOPPLER`] of the largest one.
    Specular,
    /// Complex Gaussian gain: no line of sight.
    Rayleigh,
    /// A fixed part plus a complex Gaussian one.
    Rician {
        /// Power of the fixed part over that of the Gaussian part.
        k_factor_db: f64,
    },
}

/// One path of a delay line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tap {
    /// Delay after the first path; any fraction of a sample.
    pub delay_ns: f64,
    /// Mean power; only the ratios between taps count.
    pub power_db: f64,
    /// Behaviour of the gain.
    pub fading: Fading,
}

/// Propagation between the antennas, by name.
///
/// As text (`--channel`, TOML): `awgn`, `rayleigh`, `rician`, `rician:K_DB`, `multipath`,
/// `multipath-rayleigh`, `tdl-a` … `tdl-e`, `tdl-a:DELAY_SPREAD_NS` …, `epa`, `eva`, `etu`, or `taps:` and a list such as
/// `taps:0/0,500/-3,1200/-9/rayleigh` (delay in ns, power in dB, optional fading; static if not said).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Profile {
    /// Gain one.
    Awgn,
    /// One Rayleigh tap.
    Rayleigh,
    /// One Rician tap.
    Rician {
        /// Power of the line of sight over that of the rest.
        k_factor_db: f64,
    },
    /// Five static taps over 2 µs with exponentially falling power and phases from the seed.
    Multipath,
    /// The same five taps, each one Rayleigh.
    MultipathRayleigh,
    /// A tapped delay line of 3GPP TR 38.901.
    Tdl {
        /// Which of the five.
        model: TdlModel,
        /// Rms delay spread that its delays are scaled to.
        delay_spread_ns: f64,
    },
    /// A fading profile of LTE.
    Lte(LteModel),
    /// The user's own taps.
    Taps(Vec<Tap>),
}

/// Delays of the `multipath` profile: uneven, so that the response has no short period.
const MULTIPATH_DELAYS_NS: [f64; 5] = [0.0, 310.0, 710.0, 1090.0, 2000.0];
/// Time after which the power of the `multipath` profile has fallen by e.
const MULTIPATH_DECAY_NS: f64 = 500.0;

impl Profile {
    /// The taps behind the name; `awgn` is one static tap.
    pub fn taps(&self) -> Vec<Tap> {
        let flat = |fading| vec![Tap { delay_ns: 0.0, power_db: 0.0, fading }];
        let exponential = |fading| {
            MULTIPATH_DELAYS_NS
                .iter()
                .map(|&delay_ns| Tap {
                    delay_ns,
                    power_db: -10.0 * std::f64::consts::LOG10_E * delay_ns / MULTIPATH_DECAY_NS,
                    fading,
                })
                .collect()
        };
        match self {
            Self::Awgn => flat(Fading::Static),
            Self::Rayleigh => flat(Fading::Rayleigh),
            Self::Rician { k_factor_db } => flat(Fading::Rician { k_factor_db: *k_factor_db }),
            Self::Multipath => exponential(Fading::Static),
            Self::MultipathRayleigh => exponential(Fading::Rayleigh),
            Self::Tdl { model, delay_spread_ns } => model.taps(*delay_spread_ns),
            Self::Lte(model) => model.taps(),
            Self::Taps(taps) => taps.clone(),
        }
    }

    pub(super) fn validate(&self, sample_rate_hz: f64) -> Result<(), ChannelError> {
        if let Self::Tdl { delay_spread_ns, .. } = self {
            check("delay_spread_ns", *delay_spread_ns, 0.0, MAX_DELAY_SPREAD_NS)?;
        }
        let taps = self.taps();
        check("number of taps", taps.len() as f64, 1.0, MAX_TAPS as f64)?;
        let longest = MAX_TAP_DELAY_NS.min(MAX_SPAN_SAMPLES / sample_rate_hz * 1e9);
        for tap in &taps {
            check("delay_ns of a tap", tap.delay_ns, 0.0, longest)?;
            check("power_db of a tap", tap.power_db, -100.0, 100.0)?;
            if let Fading::Rician { k_factor_db } = tap.fading {
                check("k_factor_db", k_factor_db, -50.0, 50.0)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Profile {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let unknown = || ChannelError::UnknownProfile(text.chars().take(80).collect());
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| unknown());
        match text.trim() {
            "awgn" => return Ok(Self::Awgn),
            "rayleigh" => return Ok(Self::Rayleigh),
            "rician" => {
                return Ok(Self::Rician { k_factor_db: DEFAULT_RICIAN_K_DB });
            }
            "multipath" => return Ok(Self::Multipath),
            "multipath-rayleigh" => return Ok(Self::MultipathRayleigh),
            _ => {}
        }
        if let Some(k_factor_db) = text.trim().strip_prefix("rician:") {
            return Ok(Self::Rician { k_factor_db: number(k_factor_db)? });
        }
        if let Some(model) = LteModel::ALL.into_iter().find(|model| model.to_string() == text.trim()) {
            return Ok(Self::Lte(model));
        }
        for model in TdlModel::ALL {
            if let Some(rest) = text.trim().strip_prefix(&model.to_string()) {
                let delay_spread_ns = match rest.strip_prefix(':') {
                    Some(delay_spread) => number(delay_spread)?,
                    None if rest.is_empty() => DEFAULT_DELAY_SPREAD_NS,
                    None => return Err(unknown()),
                };
                return Ok(Self::Tdl { model, delay_spread_ns });
            }
        }
        let list = text.trim().strip_prefix("taps:").ok_or_else(unknown)?;
        let mut taps = Vec::new();
        for entry in list.split(',').take(MAX_TAPS + 1) {
            let fields: Vec<&str> = entry.splitn(4, '/').map(str::trim).collect();
            let (delay_ns, power_db, fading) = match fields[..] {
                [delay, power] => (delay, power, Fading::Static),
                [delay, power, "rayleigh"] => (delay, power, Fading::Rayleigh),
                [delay, power, "specular"] => (delay, power, Fading::Specular),
                [delay, power, fading] => {
                    let k = fading.strip_prefix("rician=").ok_or_else(unknown)?;
                    let k_factor_db = number(k)?;
                    (delay, power, Fading::Rician { k_factor_db })
                }
                _ => return Err(unknown()),
            };
            taps.push(Tap { delay_ns: number(delay_ns)?, power_db: number(power_db)?, fading });
        }
        if taps.len() > MAX_TAPS {
            return Err(unknown());
        }
        Ok(Self::Taps(taps))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Awgn => f.write_str("awgn"),
            Self::Rayleigh => f.write_str("rayleigh"),
            Self::Rician { k_factor_db } => write!(f, "rician:{k_factor_db}"),
            Self::Multipath => f.write_str("multipath"),
            Self::MultipathRayleigh => f.write_str("multipath-rayleigh"),
            Self::Tdl { model, delay_spread_ns } => write!(f, "{model}:{delay_spread_ns}"),
            Self::Lte(model) => write!(f, "{model}"),
            Self::Taps(taps) => {
                f.write_str("taps:")?;
                for (index, tap) in taps.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}/{}", tap.delay_ns, tap.power_db)?;
                    match tap.fading {
                        Fading::Static => {}
                        Fading::Specular => f.write_str("/specular")?,
                        Fading::Rayleigh => f.write_str("/rayleigh")?,
                        Fading::Rician { k_factor_db } => write!(f, "/rician={k_factor_db}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl TryFrom<String> for Profile {
    type Error = ChannelError;

    fn try_from(text: String) -> Result<Self, ChannelError> {
        text.parse()
    }
}

impl From<Profile> for String {
    fn from(profile: Profile) -> Self {
        profile.to_string()
    }
}

/// Everything the channel does to the samples. The default is a perfect wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelConfig {
    /// Propagation.
    pub profile: Profile,
    /// Mean Es/N0 per occupied resource element; without it no noise is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr_db: Option<f64>,
    /// Occupied subcarriers over FFT size, above 0 and at most 1: how much of the band carries
    /// signal. It turns `snr_db` into a noise power per sample and sets the band over which a
    /// static profile has unit mean power.
    pub occupied_fraction: f64,
    /// Bulk delay in whole samples.
    pub delay_samples: u32,
    /// Largest Doppler shift of the fading taps; 0 keeps their gains for the whole run.
    pub doppler_hz: f64,
    /// Carrier frequency offset seen by the receiver, less than half of the sample rate either way.
    pub cfo_hz: f64,
    /// Sampling-clock offset: positive when the receiver's clock is fast, so that it takes
    /// 1 + ppm/10⁶ samples for each one sent.
    pub sampling_offset_ppm: f64,
    /// What the transmitter's hardware does.
    pub transmitter: TransmitterConfig,
    /// Mean number of dropouts a second while the path is open, 0 (none) to 10,000.
    pub dropouts_per_s: f64,
    /// Length of a dropout, 0.001 to 10,000 ms.
    pub dropout_ms: f64,
    /// Other stations that the receiver hears.
    pub interferers: Interferers,
    /// What the receiver's hardware does behind its mixer.
    pub front_end: FrontEndConfig,
    /// Fixes phases, fading and noise.
    pub seed: u64,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            profile: Profile::Awgn,
            snr_db: None,
            occupied_fraction: 1.0,
            delay_samples: 0,
            doppler_hz: 0.0,
            cfo_hz: 0.0,
            sampling_offset_ppm: 0.0,
            transmitter: TransmitterConfig::default(),
            dropouts_per_s: 0.0,
            dropout_ms: 1.0,
            interferers: Interferers::default(),
            front_end: FrontEndConfig::default(),
            seed: 0,
        }
    }
}

impl ChannelConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`ChannelError::OutOfRange`] names the field and its range.
    pub fn validate(&self, sample_rate_hz: f64) -> Result<(), ChannelError> {
        check("sample_rate_hz", sample_rate_hz, 1.0, 1e10)?;
        check("snr_db", self.snr_db.unwrap_or(0.0), -100.0, 200.0)?;
        check("occupied_fraction", self.occupied_fraction, 1e-3, 1.0)?;
        let delay = f64::from(self.delay_samples);
        check("delay_samples", delay, 0.0, f64::from(MAX_DELAY_SAMPLES))?;
        check("doppler_hz", self.doppler_hz, 0.0, sample_rate_hz / 256.0)?;
        let half = sample_rate_hz / 2.0;
        check("cfo_hz", self.cfo_hz, -half, half)?;
        let ppm = MAX_SAMPLING_OFFSET_PPM;
        check("sampling_offset_ppm", self.sampling_offset_ppm, -ppm, ppm)?;
        self.transmitter.validate(sample_rate_hz)?;
        check("dropouts_per_s", self.dropouts_per_s, 0.0, 1e4)?;
        check("dropout_ms", self.dropout_ms, 1e-3, 1e4)?;
        self.interferers.validate(sample_rate_hz)?;
        self.front_end.validate()?;
        self.profile.validate(sample_rate_hz)
    }

    /// Noise variance of a complex sample, or none when no SNR is set.
    ///
    /// The modulator gives unit mean power in time to K of N subcarriers at unit power each. The
    /// receiver's DFT, scaled so that such a subcarrier comes out at unit power, is √K/N·Σ, which
    /// turns white noise σ² into (K/N)·σ² on each subcarrier. So Es/N0 = (N/K)/σ².
    pub fn noise_variance(&self) -> Option<f64> {
        self.snr_db.map(|snr_db| 10f64.powf(-snr_db / 10.0) / self.occupied_fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_text_round_trips() {
        for text in [
            "awgn",
            "rayleigh",
            "rician:9.5",
            "multipath",
            "multipath-rayleigh",
            "tdl-a:100",
            "tdl-e:37.5",
            "epa",
            "etu",
            "taps:0/0,500/-3,1200.5/-9/rayleigh,2000/-12/rician=3,2500/-15/specular",
        ] {
            let profile: Profile = text.parse().expect(text);
            assert_eq!(profile.to_string(), text);
        }
        assert_eq!("rician".parse(), Ok(Profile::Rician { k_factor_db: 6.0 }));
        assert_eq!("tdl-c".parse(), Ok(Profile::Tdl { model: TdlModel::C, delay_spread_ns: 100.0 }));
    }

    #[test]
    fn bad_profiles_are_refused_with_the_choices() {
        let many = format!("taps:{}0/0", "0/0,".repeat(MAX_TAPS));
        for text in
            ["", "fog", "taps:", "taps:1", "taps:0/0/rice", "rician:x", "tdl-f", "tdl-a9", "tdl-a:", &many]
        {
            let error = text.parse::<Profile>().expect_err(text);
            assert!(error.to_string().contains("multipath"), "{error}");
        }
    }

    #[test]
    fn out_of_range_names_the_field_and_the_range() {
        let config = ChannelConfig { cfo_hz: f64::NAN, ..ChannelConfig::default() };
        let message = config.validate(1e6).expect_err("NaN").to_string();
        assert!(message.contains("cfo_hz") && message.contains("500000"), "{message}");
    }

    #[test]
    fn toml_round_trips_and_refuses_unknown_keys() {
        let config = ChannelConfig {
            profile: Profile::Multipath,
            snr_db: Some(12.5),
            cfo_hz: -200.0,
            ..ChannelConfig::default()
        };
        let text = toml::to_string(&config).expect("serialises");
        assert_eq!(toml::from_str::<ChannelConfig>(&text).expect("parses"), config);
        assert!(toml::from_str::<ChannelConfig>("fog = 1").is_err());
    }
}
