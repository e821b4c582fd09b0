//! A picture of how far training is: held-out crops as they are, and as they arrive.

use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use semcast_common::content::Picture;

use super::super::channel::{self, Setting};
use super::super::pictures::{GROUP, Pictures};
use super::{Method, Network, VALIDATION_SNR_DB, VALIDATION_SYMBOLS, transmit};

/// Side of a crop, pixels.
const SIDE: usize = 128;
/// Groups of crops that are shown.
const GROUPS: usize = 3;

/// The strip: a row for the originals and one for each SNR.
pub fn draw(network: &Network, method: Method, pictures: &Pictures, device: &Device) -> Option<Picture> {
    let mut crops = pictures.validation_crops(super::side(pictures, SIDE)).without_thumbnails();
    crops.groups = crops.groups.min(GROUPS);
    let side = crops.side;
    crops.values.truncate(crops.groups * GROUP * 3 * side * side);
    let mut rows = vec![crops.values.clone()];
    for snr_db in VALIDATION_SNR_DB {
        let settings = vec![Setting::awgn(VALIDATION_SYMBOLS, snr_db); crops.groups];
        let channel = channel::draw(&settings, &crops.activity(super::CELL), &mut StdRng::seed_from_u64(7));
        let sent = transmit(network, method, &crops, &channel, 7, device);
        rows.push(sent.arrived.into_data().iter::<f32>().collect());
    }
    self::rows(&rows, side)
}

/// A picture of rows of crops, each crop `side` × `side` pixels about zero, plane by plane.
pub fn rows(rows: &[Vec<f32>], side: usize) -> Option<Picture> {
    let columns = rows.first()?.len() / (3 * side * side);
    let mut rgb = Vec::with_capacity(3 * rows.len() * columns * side * side);
    for row in rows {
        for y in 0..side {
            for column in 0..columns {
                for x in 0..side {
                    for plane in 0..3 {
                        // Crops are about the mean of their group, which the strip need not know.
                        let value = row[((column * 3 + plane) * side + y) * side + x] + 0.45;
                        rgb.push((255.0 * value).round().clamp(0.0, 255.0) as u8);
                    }
                }
            }
        }
    }
    Picture::new((columns * side) as u32, (rows.len() * side) as u32, rgb).ok()
}
