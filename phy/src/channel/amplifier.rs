//! A power amplifier without memory: amplitude in → amplitude and phase out.
//!
//! - Rapp, solid state: |y| = r / (1 + (r/A)^2p)^(1/2p), no phase. C. Rapp, "Effects of HPA-nonlinearity on a
//!   4-DPSK/OFDM-signal for a digital sound broadcasting system", Proc. 2nd European Conf. on Satellite Comm., 1991.
//! - Saleh, travelling-wave tube: |y| = α·ρ/(1 + β·ρ²), turned by α'·ρ²/(1 + β'·ρ²), with α = 2.1587, β = 1.1517,
//!   α' = 4.0033, β' = 9.1040. A. Saleh, "Frequency-independent and frequency-dependent nonlinear models of TWT
//!   amplifiers", IEEE Trans. Comm. 29(11), 1981, Table I.
//!
//! Both are scaled to a small-signal gain of 1. The back-off is the power at which the amplifier saturates (A², or the
//! peak of Saleh's curve at ρ = β^(−1/2)) over the mean power 1 of the signal, at the input.

use std::fmt;
use std::str::FromStr;

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::config::{ChannelError, check};

/// Smoothness of Rapp's model when none is given.
const DEFAULT_SMOOTHNESS: f64 = 2.0;
const SALEH_GAIN: [f32; 2] = [2.1587, 1.1517];
const SALEH_PHASE: [f32; 2] = [4.0033, 9.1040];

/// Which amplifier; as text `none`, `rapp`, `rapp:SMOOTHNESS`, `saleh`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Amplifier {
    /// A linear one.
    #[default]
    None,
    /// Rapp's model of solid-state amplifiers.
    Rapp {
        /// p: from 0.5, a soft knee, to 10, close to a clipper.
        smoothness: f64,
    },
    /// Saleh's model of travelling-wave tubes.
    Saleh,
}

impl Amplifier {
    pub(super) fn validate(self, backoff_db: f64) -> Result<(), ChannelError> {
        if let Self::Rapp { smoothness } = self {
            check("smoothness of amplifier rapp", smoothness, 0.5, 10.0)?;
        }
        check("backoff_db", backoff_db, -10.0, 40.0)
    }

    /// Amplifies the samples where they lie; `backoff_db` as in the module's text.
    pub(super) fn apply(self, backoff_db: f64, samples: &mut [Complex32]) {
        let inverse_saturation = 10f64.powf(-backoff_db / 10.0) as f32;
        match self {
            Self::None => {}
            Self::Rapp { smoothness } => {
                let (inner, outer) = (smoothness as f32, (-0.5 / smoothness) as f32);
                for sample in samples {
                    let ratio = sample.norm_sqr() * inverse_saturation;
                    // The usual p = 2 without powers.
                    let gain = if inner == 2.0 {
                        1.0 / (1.0 + ratio * ratio).sqrt().sqrt()
                    } else {
                        (1.0 + ratio.powf(inner)).powf(outer)
                    };
                    *sample *= gain;
                }
            }
            Self::Saleh => {
                for sample in samples {
                    let rho = sample.norm_sqr() * inverse_saturation / SALEH_GAIN[1];
                    let gain = 1.0 / (1.0 + SALEH_GAIN[1] * rho);
                    let phase = SALEH_PHASE[0] * rho / (1.0 + SALEH_PHASE[1] * rho);
                    *sample *= Complex32::from_polar(gain, phase);
                }
            }
        }
    }
}

impl FromStr for Amplifier {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let unknown = || ChannelError::UnknownAmplifier(text.chars().take(80).collect());
        match text.trim() {
            "none" => Ok(Self::None),
            "rapp" => Ok(Self::Rapp { smoothness: DEFAULT_SMOOTHNESS }),
            "saleh" => Ok(Self::Saleh),
            other => {
                let number = other.strip_prefix("rapp:").ok_or_else(unknown)?;
                Ok(Self::Rapp { smoothness: number.trim().parse().map_err(|_| unknown())? })
            }
        }
    }
}

impl fmt::Display for Amplifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Rapp { smoothness } => write!(f, "rapp:{smoothness}"),
            Self::Saleh => f.write_str("saleh"),
        }
    }
}

impl TryFrom<String> for Amplifier {
    type Error = ChannelError;

    fn try_from(text: String) -> Result<Self, ChannelError> {
        text.parse()
    }
}

impl From<Amplifier> for String {
    fn from(amplifier: Amplifier) -> Self {
        amplifier.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::noise::Noise;
    use num_complex::Complex64;

    const RAPP: Amplifier = Amplifier::Rapp { smoothness: 2.0 };

    fn output(amplifier: Amplifier, backoff_db: f64, input: f64) -> Complex64 {
        let mut sample = [Complex32::new(input as f32, 0.0)];
        amplifier.apply(backoff_db, &mut sample);
        Complex64::new(f64::from(sample[0].re), f64::from(sample[0].im))
    }

    #[test]
    fn curves_pass_through_their_known_points() {
        // At the saturation amplitude Rapp's is down by 2^(−1/2p); far beyond, it stays at A.
        for smoothness in [1.0, 2.0, 3.0] {
            let rapp = Amplifier::Rapp { smoothness };
            let at_knee = output(rapp, 6.0206, 2.0);
            assert!((at_knee.re / 2.0 - 2f64.powf(-0.5 / smoothness)).abs() < 1e-4, "{at_knee}");
            assert!((output(rapp, 6.0206, 200.0).re - 2.0).abs() < 1e-3);
        }
        // Saleh's peaks at half of the linear gain, turned by 4.0033/β/(1 + 9.104/β) = 0.3904 rad.
        let peak = output(Amplifier::Saleh, 0.0, 1.0);
        assert!((peak.norm() - 0.5).abs() < 1e-4 && (peak.arg() - 0.3904).abs() < 1e-3, "{peak}");
        for amplifier in [RAPP, Amplifier::Saleh] {
            assert!((output(amplifier, 0.0, 1e-3) - 1e-3).norm() < 1e-7, "small-signal gain of {amplifier}");
        }
    }

    /// Bussgang: of a Gaussian signal x with |x| = r comes y = αx + d with α = E\[y x*\] and E|d|² = E|y|² − |α|².
    #[test]
    fn distortion_of_a_gaussian_signal_is_that_of_the_integral() {
        for amplifier in [RAPP, Amplifier::Saleh] {
            for backoff_db in [3.0, 8.0] {
                let step = 1e-3;
                let (mut alpha, mut power) = (Complex64::default(), 0.0);
                for n in 1..6000 {
                    let r = f64::from(n) * step;
                    let density = 2.0 * r * (-r * r).exp() * step;
                    let y = output(amplifier, backoff_db, r);
                    alpha += y * r * density;
                    power += y.norm_sqr() * density;
                }
                let expected_db = 10.0 * ((power - alpha.norm_sqr()) / alpha.norm_sqr()).log10();

                let mut sent = vec![Complex32::default(); 400_000];
                Noise::new(1.0, 4).add(&mut sent);
                let mut received = sent.clone();
                amplifier.apply(backoff_db, &mut received);
                let wide = |x: &Complex32| Complex64::new(f64::from(x.re), f64::from(x.im));
                let pairs = || sent.iter().map(wide).zip(received.iter().map(wide));
                let power: f64 = pairs().map(|(x, _)| x.norm_sqr()).sum();
                let gain: Complex64 = pairs().map(|(x, y)| y * x.conj()).sum::<Complex64>() / power;
                let error: f64 = pairs().map(|(x, y)| (y - gain * x).norm_sqr()).sum();
                let measured_db = 10.0 * (error / power / gain.norm_sqr()).log10();
                assert!(
                    (measured_db - expected_db).abs() < 0.15,
                    "{amplifier}, {backoff_db} dB: EVM {measured_db} dB, expected {expected_db} dB"
                );
            }
        }
    }

    #[test]
    fn text_round_trips_and_others_are_refused_with_the_choices() {
        for text in ["none", "saleh", "rapp:2", "rapp:1.25"] {
            assert_eq!(text.parse::<Amplifier>().expect(text).to_string(), text);
        }
        for text in ["", "valve", "rapp:", "rapp:x", "saleh:2"] {
            let error = text.parse::<Amplifier>().expect_err(text).to_string();
            assert!(error.contains("rapp:SMOOTHNESS"), "{error}");
        }
        let steep = Amplifier::Rapp { smoothness: 99.0 }.validate(3.0).expect_err("too steep").to_string();
        assert!(steep.contains("0.5 to 10"), "{steep}");
    }
}
