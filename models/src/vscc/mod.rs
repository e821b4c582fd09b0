//! Variational source-channel coding: the network, losses and tests of Y. Feng et al., *Variational Source-Channel Coding
//! for Semantic Communication*.
//!
//! An encoder makes of a picture not codes but their distribution, N(μ₁, σ₁²). On the air, the channel adds noise of
//! variance σ₂², and the receiver draws what it decodes from N(μ₁, σ₁² + σ₂²): channel noise is one more part of the
//! encoder's own uncertainty. VSCC (eqs. 9 and 10) trains the sum of both to be like N(0, σ₂² + d); a VAE (eq. 11) trains
//! σ₁² alone, as if there were no channel; an AE (eq. 12) has no distribution.
//!
//! - [`losses`]: eqs. 9 to 12.
//! - [`layers`], [`network`]: the paper's network, Fig. 5. It exists to repeat the paper's tables
//!   (`docs/EVALUATION.md`): one network for each SNR, sizes that are multiples of 16, one rate.
//! - [`transmission`]: power constraint, channel as a layer, resampling, and the three ways to test.
//!
//! The systems `vae` and `vscc` of the link are [`crate::ae`]'s network with the same losses: see
//! [`crate::ae::posterior`].

pub mod layers;
pub mod losses;
pub mod network;
pub mod transmission;
