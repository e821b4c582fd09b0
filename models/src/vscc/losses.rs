//! What is minimised: eqs. 9 to 12 of the paper.
//!
//! All three methods have the same reconstruction term. Of −log q(x|z) in eqs. 10 and 11 the paper leaves the variance
//! open; it is taken as what the data say (the mean square error itself), so that the term is, for `D` values,
//! (D/2)·ln(MSE) but for a constant. Divided by D/2, as all is here, that is the logarithm of eq. 12, and a
//! divergence of so many nats counts 2/D of it: no weight is left to choose.

use burn::tensor::Tensor;

/// How a network is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Reconstruction alone, eq. 12; nothing is resampled.
    Ae,
    /// Eq. 11: codes like those of a standard normal distribution; the channel's noise is not considered.
    Vae,
    /// Eqs. 9 and 10: codes with the noise of the channel on them like N(0, σ₂² + d).
    Vscc {
        /// The channel matching constant, in units of the variance of a code.
        d: f32,
    },
}

impl Method {
    /// The system that is trained by it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ae => "ae",
            Self::Vae => "vae",
            Self::Vscc { .. } => "vscc",
        }
    }

    /// A network, with how it is trained.
    pub fn describe(self, network: &str) -> String {
        match self {
            Self::Ae => network.into(),
            Self::Vae => format!("{network}, trained as a variational autoencoder,"),
            Self::Vscc { d } => {
                format!("{network}, trained by variational source-channel coding with d = {d},")
            }
        }
    }

    /// Whether its constant makes sense.
    pub fn check(self) -> Result<(), String> {
        match self {
            Self::Vscc { d } if !(0.01..=1000.0).contains(&d) => {
                Err(format!("the channel matching constant d is {d}, but must be 0.01 to 1000"))
            }
            _ => Ok(()),
        }
    }

    /// Whether codes have a variance.
    pub fn is_variational(self) -> bool {
        self != Self::Ae
    }
}

/// Kullback-Leibler divergence KL(N(mean, variance) ‖ N(0, prior)) of each element, nats; eq. 9.
pub fn divergence<const D: usize>(mean: Tensor<D>, variance: Tensor<D>, prior: Tensor<D>) -> Tensor<D> {
    let ratio = (mean.square() + variance.clone()) / prior.clone();
    (prior.log() - variance.log() + ratio - 1.0).mul_scalar(0.5)
}

/// The divergence of a method, nats an element, for codes of mean `mean` and variance `variance` that reach the decoder
/// with noise of variance `noise`; none for an AE. A code's variance over all pictures is 1, but for what the method makes of it.
pub fn matching<const D: usize>(
    method: Method,
    mean: Tensor<D>,
    variance: Tensor<D>,
    noise: Tensor<D>,
) -> Option<Tensor<D>> {
    match method {
        Method::Ae => None,
        Method::Vae => {
            let one = variance.ones_like();
            Some(divergence(mean, variance, one))
        }
        Method::Vscc { d } => Some(divergence(mean, variance + noise.clone(), noise + d)),
    }
}

/// Loss from the mean square error over `values` values and the sum of the divergence, if any, over the same pictures.
pub fn loss(error: Tensor<1>, divergence: Option<Tensor<1>>, values: usize) -> Tensor<1> {
    // Below 45 dB, errors count little.
    let reconstruction = error.add_scalar(ERROR_FLOOR).log();
    match divergence {
        None => reconstruction,
        Some(nats) => reconstruction + nats.mul_scalar(2.0 / values as f32),
    }
}

/// Added to mean square errors: 45 dB.
const ERROR_FLOOR: f32 = 3.0e-5;

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn one(value: f32) -> Tensor<1> {
        Tensor::from_data(TensorData::new(vec![value], [1]), &Device::flex())
    }

    fn number(tensor: Tensor<1>) -> f32 {
        tensor.into_scalar()
    }

    #[test]
    fn a_distribution_does_not_diverge_from_itself() {
        assert!(number(divergence(one(0.0), one(0.3), one(0.3))).abs() < 1e-6);
    }

    /// ½(ln(p/v) + (m² + v)/p − 1), by hand.
    #[test]
    fn divergences_of_gaussians_in_closed_form() {
        // KL(N(1, 1) ‖ N(0, 1)) = ½; KL(N(0, e) ‖ N(0, 1)) = ½(e − 2); KL(N(2, 1) ‖ N(0, 4)) = ½(ln 4 + 5/4 − 1).
        let e = std::f32::consts::E;
        for (mean, variance, prior, nats) in [
            (1.0, 1.0, 1.0, 0.5),
            (0.0, e, 1.0, 0.5 * (e - 2.0)),
            (2.0, 1.0, 4.0, 0.5 * (4.0_f32.ln() + 0.25)),
        ] {
            let found = number(divergence(one(mean), one(variance), one(prior)));
            assert!((found - nats).abs() < 1e-6, "{mean} {variance} {prior}: {found} instead of {nats}");
        }
    }

    #[test]
    fn vscc_counts_the_noise_of_the_channel_and_vae_does_not() {
        let (mean, variance, noise) = (0.5, 0.2, 0.8);
        let of = |method| matching(method, one(mean), one(variance), one(noise)).map(number);
        assert_eq!(of(Method::Ae), None);
        // ½(−ln 0.2 + 0.2 + 0.25 − 1)
        let vae = 0.5 * (-(0.2_f32.ln()) - 0.55);
        assert!((of(Method::Vae).unwrap() - vae).abs() < 1e-6);
        // σ₁² + σ₂² = 1, σ₂² + d = 2.8: ½(ln 2.8 + 1.25/2.8 − 1)
        let vscc = 0.5 * (2.8_f32.ln() + 1.25 / 2.8 - 1.0);
        assert!((of(Method::Vscc { d: 2.0 }).unwrap() - vscc).abs() < 1e-6);
        // A code of no variance costs a VAE everything, and VSCC no more than what the channel carries.
        let sure = matching(Method::Vscc { d: 1.0 }, one(1.0), one(0.0), one(1.0)).map(number).unwrap();
        assert!((sure - 0.5 * 2.0_f32.ln()).abs() < 1e-6, "half of log(1 + SNR): {sure}");
        let lost = matching(Method::Vscc { d: 1.0 }, one(1.0), one(0.1), one(1e6)).map(number).unwrap();
        assert!(lost.abs() < 1e-5, "what does not arrive costs nothing: {lost}");
    }

    #[test]
    fn a_nat_counts_as_much_as_the_likelihood_says() {
        // D/2 of the loss is D/2 · ln(MSE) + KL.
        let with = number(loss(one(0.01), Some(one(3.0)), 600));
        let without = number(loss(one(0.01), None, 600));
        assert!((300.0 * (with - without) - 3.0).abs() < 1e-3);
        assert!((without - 0.010_03_f32.ln()).abs() < 1e-4);
    }
}
