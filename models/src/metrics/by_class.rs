//! Quality by class: how much of each kind of thing in a picture survived.
//!
//! PSNR over the pixels of a class. LPIPS of the damage to a class: the distance of the sent picture to itself with the pixels
//! of this class alone replaced by the received ones, divided by the share of the picture that they are, so that
//! a class has the figure of the picture if damage is alike everywhere.

use semcast_common::content::Picture;
use serde::{Deserialize, Serialize};

use super::{MetricError, PictureMetrics, SizesDiffer, same_size};

/// What is at each pixel of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Number of the class of each pixel, row by row.
    pub classes: Vec<u8>,
}

/// Quality of the pixels of a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassQuality {
    /// Number of the class.
    pub class: u8,
    /// Share of the picture's pixels, 0 to 1.
    pub share: f64,
    /// Peak signal-to-noise ratio over them, dB; infinite if they are equal.
    pub psnr_db: f64,
    /// LPIPS of the damage to them; not measured without weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lpips: Option<f64>,
}

impl PictureMetrics {
    /// Quality of each class that there is in a picture, by rising number.
    pub fn by_class(
        &self,
        sent: &Picture,
        received: &Picture,
        labels: &Labels,
    ) -> Result<Vec<ClassQuality>, MetricError> {
        same_size(sent, received)?;
        let size = (sent.width(), sent.height());
        let pixels = sent.rgb().len() / 3;
        if (labels.width, labels.height) != size || labels.classes.len() != pixels {
            return Err(SizesDiffer(size, (labels.width, labels.height)).into());
        }
        let mut classes = labels.classes.clone();
        classes.sort_unstable();
        classes.dedup();
        classes.into_iter().map(|class| self.of_class(sent, received, labels, class)).collect()
    }

    fn of_class(
        &self,
        sent: &Picture,
        received: &Picture,
        labels: &Labels,
        class: u8,
    ) -> Result<ClassQuality, MetricError> {
        let mut damaged = sent.rgb().to_vec();
        let (mut count, mut squares) = (0_usize, 0_u64);
        let pixels = damaged.chunks_exact_mut(3).zip(received.rgb().chunks_exact(3)).zip(&labels.classes);
        for ((damaged, received), _) in pixels.filter(|(_, label)| **label == class) {
            count += 1;
            squares +=
                damaged.iter().zip(received).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
            damaged.copy_from_slice(received);
        }
        let share = count as f64 / labels.classes.len() as f64;
        let lpips = match &self.lpips {
            None => None,
            Some(lpips) => {
                let damaged = Picture::new(sent.width(), sent.height(), damaged);
                let damaged = damaged.map_err(|_| MetricError::NoNumbers)?;
                Some(lpips.distance(sent, &damaged)? / share)
            }
        };
        let psnr_db = 10.0 * (255.0_f64.powi(2) * (3 * count) as f64 / squares as f64).log10();
        Ok(ClassQuality { class, share, psnr_db, lpips })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{formula, psnr_db};
    use super::*;

    fn halves(width: u32, height: u32) -> Labels {
        let classes = (0..width * height).map(|at| if at % width < width / 2 { 3 } else { 7 }).collect();
        Labels { width, height, classes }
    }

    #[test]
    fn damage_to_one_class_is_not_seen_in_the_other() {
        let sent = formula::picture(64, 48);
        let labels = halves(64, 48);
        let mut rgb = sent.rgb().to_vec();
        for (pixel, label) in rgb.chunks_exact_mut(3).zip(&labels.classes) {
            if *label == 7 {
                pixel.iter_mut().for_each(|value| *value = value.wrapping_add(10).max(10));
            }
        }
        let received = Picture::new(64, 48, rgb).unwrap();
        let found = PictureMetrics::default().by_class(&sent, &received, &labels).unwrap();
        assert_eq!(found.iter().map(|quality| quality.class).collect::<Vec<_>>(), [3, 7]);
        assert_eq!((found[0].psnr_db, found[0].share), (f64::INFINITY, 0.5));
        let whole = psnr_db(&sent, &received).unwrap();
        assert!((found[1].psnr_db - (whole - 10.0 * 2.0_f64.log10())).abs() < 1e-9);
    }

    #[test]
    fn labels_of_another_size_are_refused() {
        let picture = formula::picture(64, 48);
        let result = PictureMetrics::default().by_class(&picture, &picture, &halves(48, 64));
        assert!(matches!(result, Err(MetricError::SizesDiffer(_))));
    }
}
