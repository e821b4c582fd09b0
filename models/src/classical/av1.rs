//! AV1 still pictures: rav1e encodes, rav1d decodes, both in Rust and without assembler.
//!
//! In → out: [`Planes`] → open bitstream units of one key frame, and back. There is no container: sizes and chroma
//! sampling travel as side information of the message, which saves some 300 bytes a picture against an AVIF file.

use rav1e::prelude::*;
use re_rav1d::dav1d;
use re_rav1d::dav1d::{Decoder, PixelLayout, PlanarImageComponent, Settings};
use semcast_common::content::Picture;

use super::colour::{self, Planes};
use crate::ModelError;

/// Resolution of the chroma planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// 4:2:0: half as wide and half as high.
    Half,
    /// 4:4:4: like luma.
    Full,
}

/// Coarsest quantiser.
pub const COARSEST: usize = 255;
/// Least side that the codec takes; smaller pictures are filled up.
const LEAST_SIDE: usize = 16;

/// How large a picture is inside the codec.
pub fn coded_side(side: u32) -> usize {
    (side as usize).max(LEAST_SIDE)
}

/// Encodes planes at a quantiser of 0 (finest) to [`COARSEST`] and a speed of 0 (most thorough) to 10.
pub fn encode(planes: &Planes, quantizer: usize, speed: u8) -> Result<Vec<u8>, ModelError> {
    let failed = |error: &dyn std::fmt::Display| ModelError::Internal(format!("AV1 encoder: {error}"));
    let mut config = EncoderConfig::with_speed_preset(speed);
    config.width = planes.width;
    config.height = planes.height;
    config.bit_depth = 8;
    config.chroma_sampling = match planes.sampling {
        Sampling::Half => ChromaSampling::Cs420,
        Sampling::Full => ChromaSampling::Cs444,
    };
    config.pixel_range = PixelRange::Full;
    config.still_picture = true;
    config.low_latency = false;
    config.speed_settings.rdo_lookahead_frames = 1;
    config.quantizer = quantizer;
    config.min_quantizer = quantizer as u8;
    config.tune = Tune::Psnr;
    config.tiles = (planes.width * planes.height / (512 * 512)).clamp(1, 16);
    // One thread each: two encodes run side by side.
    let mut context: Context<u8> = Config::new()
        .with_encoder_config(config)
        .with_threads(1)
        .new_context()
        .map_err(|error| failed(&error))?;
    let mut frame = context.new_frame();
    let (chroma_width, _) = planes.chroma_size();
    for (index, (target, samples)) in frame.planes.iter_mut().zip(&planes.planes).enumerate() {
        let width = if index == 0 { planes.width } else { chroma_width };
        target.copy_from_raw_u8(samples, width, 1);
    }
    context.send_frame(frame).map_err(|error| failed(&error))?;
    context.flush();
    let mut bytes = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => bytes.extend(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(bytes),
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Decodes bytes that may be anything into a picture of `width` × `height` pixels.
pub fn decode(bytes: Vec<u8>, width: u32, height: u32, sampling: Sampling) -> Result<Picture, ModelError> {
    let damaged = |what: &str| ModelError::Damaged(format!("AV1: {what}"));
    let (coded_width, coded_height) = (coded_side(width), coded_side(height));
    let mut settings = Settings::new();
    // One thread: a defect in the decoder then shows in this thread, where it is caught.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_apply_grain(false);
    settings.set_frame_size_limit((coded_width * coded_height) as u32);
    let failed = |error: dav1d::Error| damaged(&error.to_string());
    let mut decoder = Decoder::with_settings(&settings).map_err(failed)?;
    decoder.send_data(bytes, None, None, None).map_err(failed)?;
    let frame = decoder.get_picture().map_err(failed)?;
    let layout = match sampling {
        Sampling::Half => PixelLayout::I420,
        Sampling::Full => PixelLayout::I444,
    };
    if (frame.width() as usize, frame.height() as usize) != (coded_width, coded_height)
        || frame.bit_depth() != 8
        || frame.pixel_layout() != layout
    {
        return Err(damaged("the frame is not what the side information says"));
    }
    let mut planes =
        Planes { width: coded_width, height: coded_height, sampling, planes: [const { Vec::new() }; 3] };
    let (chroma_width, chroma_height) = planes.chroma_size();
    let components = [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V];
    for (index, component) in components.into_iter().enumerate() {
        let (columns, rows) =
            if index == 0 { (coded_width, coded_height) } else { (chroma_width, chroma_height) };
        let stride = frame.stride(component) as usize;
        let samples = frame.plane(component);
        for row in 0..rows {
            let line = samples.get(row * stride..row * stride + columns);
            planes.planes[index].extend_from_slice(line.ok_or_else(|| damaged("a plane is too short"))?);
        }
    }
    let rgb = colour::to_rgb(&planes, width as usize, height as usize);
    Picture::new(width, height, rgb).map_err(|error| damaged(&error.to_string()))
}
