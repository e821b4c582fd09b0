//! What a sender wants to keep of a picture: mode, purpose, importance, chosen regions.
//!
//! A job names it, the transmitter hands it to the encoder. Systems that know no regions ignore it. All of it is bounded, as
//! it crosses the control link: [`Raster`]s have at most [`MAX_RASTER_SIDE`] values a side, lists at most [`MAX_CLASSES`] names.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::content::Picture;

/// Longest side of a [`Raster`].
pub const MAX_RASTER_SIDE: u16 = 256;
/// Most class names in a list.
pub const MAX_CLASSES: usize = 32;
/// Most bytes of a class name.
pub const MAX_CLASS_BYTES: usize = 32;

/// Which regions of a picture are sent in detail (paper 004, overall and selective preserving).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preserve {
    /// All of them, as far as the budget goes.
    #[default]
    Overall,
    /// The most important, or those that were chosen; the receiver makes up the rest from the map.
    Selective,
    /// One or the other, by how much the importances of the regions differ.
    Auto,
}

impl Preserve {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Overall, Self::Selective, Self::Auto];

    /// The name used by `--mode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overall => "overall",
            Self::Selective => "selective",
            Self::Auto => "auto",
        }
    }
}

impl std::str::FromStr for Preserve {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        by_name(&Self::ALL, Self::name, "mode", name)
    }
}

/// Whom a picture is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// People, who look at it.
    #[default]
    People,
    /// A machine, which has a task to do with it.
    Machine,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::People, Self::Machine];

    /// The name used by `--for`.
    pub fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Machine => "machine",
        }
    }
}

impl std::str::FromStr for Purpose {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        by_name(&Self::ALL, Self::name, "purpose", name)
    }
}

/// What makes a region important.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// The entropy of its values.
    Entropy,
    /// How it draws the eye.
    Saliency,
    /// How much the task's answer depends on it.
    Gradcam,
    /// Entropy with saliency for people, entropy with Grad-CAM for machines.
    #[default]
    Mix,
    /// A map that the user brings: the brighter, the more important.
    Map(Raster),
    /// So many parts of each.
    Parts(Parts),
}

/// Parts of a mixture of maps, each of which has a mean of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parts {
    /// Of the entropy.
    pub entropy: u8,
    /// Of the saliency.
    pub saliency: u8,
    /// Of Grad-CAM.
    pub gradcam: u8,
}

impl Parts {
    /// A part of entropy and two of saliency for people, or of Grad-CAM for a machine.
    pub fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::People => Self { entropy: 1, saliency: 2, gradcam: 0 },
            Purpose::Machine => Self { entropy: 1, saliency: 0, gradcam: 2 },
        }
    }
}

impl Importance {
    /// Names used by `--importance`; anything else is a file.
    pub const NAMES: [&str; 4] = ["entropy", "saliency", "gradcam", "mix"];

    /// By name; or `mix:E,S,G` with parts of 0 to 255, not all 0.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "entropy" => Self::Entropy,
            "saliency" => Self::Saliency,
            "gradcam" => Self::Gradcam,
            "mix" => Self::Mix,
            _ => {
                let parts = name.strip_prefix("mix:")?.split(',').map(|part| part.trim().parse().ok());
                match parts.collect::<Option<Vec<u8>>>()?[..] {
                    [0, 0, 0] => return None,
                    [entropy, saliency, gradcam] => Self::Parts(Parts { entropy, saliency, gradcam }),
                    _ => return None,
                }
            }
        })
    }

    /// The name, or a short description.
    pub fn describe(&self) -> String {
        match self {
            Self::Entropy => "entropy".into(),
            Self::Saliency => "saliency".into(),
            Self::Gradcam => "gradcam".into(),
            Self::Mix => "mix".into(),
            Self::Map(map) => format!("a map of {} x {}", map.width, map.height),
            Self::Parts(Parts { entropy, saliency, gradcam }) => {
                format!("mix:{entropy},{saliency},{gradcam}")
            }
        }
    }

    /// The parts of the maps that are measured; none where the user brings one.
    pub fn parts(&self, purpose: Purpose) -> Option<Parts> {
        let parts = |entropy, saliency, gradcam| Some(Parts { entropy, saliency, gradcam });
        match self {
            Self::Entropy => parts(1, 0, 0),
            Self::Saliency => parts(0, 1, 0),
            Self::Gradcam => parts(0, 0, 1),
            Self::Mix => Some(Parts::of(purpose)),
            Self::Parts(parts) => Some(*parts),
            Self::Map(_) => None,
        }
    }
}

/// Which regions the user has chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those of these classes.
    Classes(Vec<String>),
    /// Those of which at least half lies where this is bright.
    Mask(Raster),
}

/// What a sender wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// Which regions are sent in detail.
    pub preserve: Preserve,
    /// Whom the picture is for.
    pub purpose: Purpose,
    /// What makes a region important.
    pub importance: Importance,
    /// Regions that are sent whatever their importance; in selective mode, they alone.
    pub keep: Option<Keep>,
}

/// A value outside of what an intent may have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IntentError {
    /// Sides that do not fit the values, or too many.
    #[error("a map of {width}x{height} with {values} values: sides of 1 to {MAX_RASTER_SIDE}, a value each")]
    Raster {
        /// Width.
        width: u16,
        /// Height.
        height: u16,
        /// Values.
        values: usize,
    },
    /// Too many class names, none, or too long ones.
    #[error("{0} class names: 1 to {MAX_CLASSES}, each of 1 to {MAX_CLASS_BYTES} bytes")]
    Classes(usize),
    /// A mixture of nothing.
    #[error("a mixture of 0 parts of everything: at least one part must be 1 to 255")]
    Parts,
}

impl Intent {
    /// Whether everything is within its bounds.
    pub fn check(&self) -> Result<(), IntentError> {
        match &self.importance {
            Importance::Map(map) => map.check()?,
            Importance::Parts(Parts { entropy: 0, saliency: 0, gradcam: 0 }) => {
                return Err(IntentError::Parts);
            }
            _ => {}
        }
        match &self.keep {
            None => Ok(()),
            Some(Keep::Mask(mask)) => mask.check(),
            Some(Keep::Classes(names)) => {
                let fits = |name: &String| (1..=MAX_CLASS_BYTES).contains(&name.len());
                if (1..=MAX_CLASSES).contains(&names.len()) && names.iter().all(fits) {
                    Ok(())
                } else {
                    Err(IntentError::Classes(names.len()))
                }
            }
        }
    }
}

/// A small grey picture that lies over the whole of another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Raster {
    /// Values from left to right.
    pub width: u16,
    /// Values from top to bottom.
    pub height: u16,
    /// 0 to 255, row by row.
    pub values: Vec<u8>,
}

impl Raster {
    /// The mean brightness of a picture in as many cells as a raster may have, no more than it has pixels.
    pub fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let most = usize::from(MAX_RASTER_SIDE);
        let (across, down) = (width.min(most), height.min(most));
        let mut values = Vec::with_capacity(across * down);
        for row in 0..down {
            let rows = row * height / down..((row + 1) * height / down);
            for column in 0..across {
                let columns = column * width / across..((column + 1) * width / across);
                let (mut sum, mut count) = (0_u64, 0_u64);
                for y in rows.clone() {
                    let from = 3 * (y * width + columns.start);
                    let line = &picture.rgb()[from..from + 3 * columns.len()];
                    sum += line.iter().map(|&value| u64::from(value)).sum::<u64>();
                    count += line.len() as u64;
                }
                values.push((sum / count.max(1)) as u8);
            }
        }
        Self { width: across as u16, height: down as u16, values }
    }

    /// The value over a place: `x` and `y` from 0 to 1.
    pub fn at(&self, x: f32, y: f32) -> u8 {
        let index =
            |place: f32, count: u16| ((place * f32::from(count)) as usize).min(usize::from(count).max(1) - 1);
        let at = index(y, self.height) * usize::from(self.width) + index(x, self.width);
        self.values.get(at).copied().unwrap_or(0)
    }

    fn check(&self) -> Result<(), IntentError> {
        let side = 1..=MAX_RASTER_SIDE;
        let fits = side.contains(&self.width)
            && side.contains(&self.height)
            && self.values.len() == usize::from(self.width) * usize::from(self.height);
        let Self { width, height, .. } = *self;
        if fits { Ok(()) } else { Err(IntentError::Raster { width, height, values: self.values.len() }) }
    }
}

fn by_name<T: Copy>(all: &[T], name_of: fn(T) -> &'static str, what: &str, name: &str) -> Result<T, String> {
    all.iter().copied().find(|&choice| name_of(choice) == name).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|&choice| name_of(choice)).collect();
        format!("unknown {what} {name:?}: one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rasters_are_means_and_lie_over_the_whole_picture() {
        let rgb = (0..600 * 40).flat_map(|at| [if at % 600 < 300 { 10 } else { 250 }; 3]).collect();
        let raster = Raster::of(&Picture::new(600, 40, rgb).expect("a picture"));
        assert_eq!((raster.width, raster.height), (MAX_RASTER_SIDE, 40));
        assert!(raster.check().is_ok());
        assert_eq!((raster.at(0.0, 0.0), raster.at(0.49, 0.99), raster.at(1.0, 1.0)), (10, 10, 250));
    }

    #[test]
    fn mixtures_are_read() {
        assert_eq!(Importance::from_name("mix"), Some(Importance::Mix));
        let parts = Parts { entropy: 2, saliency: 1, gradcam: 255 };
        assert_eq!(Importance::from_name("mix:2,1,255"), Some(Importance::Parts(parts)));
        for wrong in ["", "mix:0,0,0", "mix:1,2", "mix:1,2,3,4", "mix:256,0,0", "map.png"] {
            assert_eq!(Importance::from_name(wrong), None, "{wrong}");
        }
        let none = Importance::Parts(Parts { entropy: 0, saliency: 0, gradcam: 0 });
        assert!(Intent { importance: none, ..Intent::default() }.check().is_err());
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let raster = |width, height, values| Raster { width, height, values: vec![0; values] };
        assert!(raster(2, 3, 6).check().is_ok());
        for wrong in [raster(0, 3, 0), raster(2, 3, 5), raster(257, 1, 257)] {
            assert!(wrong.check().is_err());
        }
        let keep = |names: Vec<String>| Intent { keep: Some(Keep::Classes(names)), ..Intent::default() };
        assert!(keep(vec!["car".into()]).check().is_ok());
        assert!(keep(Vec::new()).check().is_err());
        assert!(keep(vec!["x".repeat(33)]).check().is_err());
        assert!(keep(vec!["x".into(); 33]).check().is_err());
    }
}
