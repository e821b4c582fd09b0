//! What a picture shows, block by block: what a receiver makes of a message that is for a machine.

use serde::{Deserialize, Serialize};

use super::{
    ContentError, Picture, check_size,
    classes::{CLASSES, OTHER},
};

/// Pixels along a side of a block.
pub const BLOCK: u32 = 16;

/// The class of each block of 16 × 16 pixels of a picture, and how sure it is. Blocks at the right and lower edge may be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    width: u32,
    height: u32,
    classes: Vec<u8>,
    confidence: Vec<u8>,
}

/// What there is of a class in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Its name.
    pub class: String,
    /// Share of the picture's blocks, 0 to 1.
    pub share: f32,
    /// Mean confidence over them, 0 to 1.
    pub confidence: f32,
}

/// What [`Labels::to_json`] writes.
#[derive(Serialize)]
struct File {
    width: u32,
    height: u32,
    block_pixels: u32,
    classes: Vec<Share>,
    blocks: Vec<Vec<&'static str>>,
    confidence: Vec<Vec<f64>>,
}

/// Blocks across and down a picture.
pub fn blocks(width: u32, height: u32) -> (usize, usize) {
    (width.div_ceil(BLOCK) as usize, height.div_ceil(BLOCK) as usize)
}

impl Labels {
    /// For a picture of this size, the number of each block's class, row by row, and its confidence, 255 for certainty.
    pub fn new(width: u32, height: u32, classes: Vec<u8>, confidence: Vec<u8>) -> Result<Self, ContentError> {
        check_size(width, height)?;
        let (across, down) = blocks(width, height);
        let expected = across * down;
        let actual = if classes.len() == expected { confidence.len() } else { classes.len() };
        let known = classes.iter().all(|class| usize::from(*class) < CLASSES.len());
        if actual != expected || !known {
            return Err(ContentError::Labels { width, height, expected, actual });
        }
        Ok(Self { width, height, classes, confidence })
    }

    /// From what [`to_bytes`](Self::to_bytes) gives.
    pub fn from_bytes(width: u32, height: u32, bytes: &[u8]) -> Result<Self, ContentError> {
        let (classes, confidence) = bytes.split_at(bytes.len() / 2);
        Self::new(width, height, classes.into(), confidence.into())
    }

    /// Two bytes a block: all classes, then all confidences.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.classes.as_slice(), &self.confidence].concat()
    }

    /// Width of the picture in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the picture in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Number of each block's class, row by row.
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// How sure the class of each block is, 0 to 255.
    pub fn confidence(&self) -> &[u8] {
        &self.confidence
    }

    /// The classes that there are, the most frequent first.
    pub fn shares(&self) -> Vec<Share> {
        let mut found: Vec<Share> = (0..CLASSES.len() as u8)
            .filter_map(|class| {
                let of_class = self.classes.iter().zip(&self.confidence).filter(|(of, _)| **of == class);
                let (count, sum) = of_class.fold((0_usize, 0_u64), |(count, sum), (_, confidence)| {
                    (count + 1, sum + u64::from(*confidence))
                });
                (count > 0).then(|| Share {
                    class: CLASSES[usize::from(class)].name.into(),
                    share: count as f32 / self.classes.len() as f32,
                    confidence: sum as f32 / (255 * count) as f32,
                })
            })
            .collect();
        found.sort_by(|a, b| b.share.total_cmp(&a.share));
        found
    }

    /// Indented JSON: size, what there is of each class, and row by row the class of each block and how sure it is.
    pub fn to_json(&self) -> String {
        let across = blocks(self.width, self.height).0;
        let name = |class: &u8| CLASSES[usize::from(*class)].name;
        let share = |confidence: &u8| (1000.0 * f64::from(*confidence) / 255.0).round() / 1000.0;
        let file = File {
            width: self.width,
            height: self.height,
            block_pixels: BLOCK,
            classes: self.shares(),
            blocks: self.classes.chunks(across).map(|row| row.iter().map(name).collect()).collect(),
            confidence: self.confidence.chunks(across).map(|row| row.iter().map(share).collect()).collect(),
        };
        // Names and finite numbers only: this cannot fail.
        let mut json = serde_json::to_string_pretty(&file).unwrap_or_else(|error| format!("\"{error}\""));
        json.push('\n');
        json
    }

    /// Share of the blocks whose class is that of others, over those that are not 0, `other`, there; none if all are.
    pub fn agreement(&self, others: &[u8]) -> Option<f64> {
        let told = self.classes.iter().zip(others).filter(|(_, other)| **other != OTHER);
        let (count, alike) =
            told.fold((0_usize, 0_usize), |(count, alike), (a, b)| (count + 1, alike + usize::from(a == b)));
        (count > 0).then(|| alike as f64 / count as f64)
    }

    /// A picture of the classes' colours, of the size of the picture that they are of.
    pub fn to_picture(&self) -> Result<Picture, ContentError> {
        let across = blocks(self.width, self.height).0;
        let mut rgb = Vec::with_capacity(3 * self.width as usize * self.height as usize);
        for y in 0..self.height {
            let row = &self.classes[(y / BLOCK) as usize * across..][..across];
            for x in 0..self.width {
                rgb.extend(CLASSES[usize::from(row[(x / BLOCK) as usize])].colour);
            }
        }
        Picture::new(self.width, self.height, rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_bring_the_same_labels_and_others_are_refused() {
        let labels = Labels::new(33, 16, vec![1, 3, 3], vec![255, 51, 153]).unwrap();
        assert_eq!(Labels::from_bytes(33, 16, &labels.to_bytes()).unwrap(), labels);
        for (width, height, bytes) in [(33, 17, 6), (33, 16, 5), (33, 16, 7), (0, 16, 0)] {
            assert!(Labels::from_bytes(width, height, &vec![0; bytes]).is_err());
        }
        assert!(Labels::new(16, 16, vec![CLASSES.len() as u8], vec![0]).is_err());
    }

    #[test]
    fn agreement_counts_where_there_is_something_to_tell() {
        let labels = Labels::new(33, 16, vec![1, 3, 3], vec![255, 51, 153]).unwrap();
        assert_eq!(labels.agreement(&[1, 0, 4]), Some(0.5));
        assert_eq!(labels.agreement(&[0, 0, 0]), None);
    }

    #[test]
    fn shares_add_up_and_colours_lie_where_classes_are() {
        let labels = Labels::new(33, 16, vec![1, 3, 3], vec![255, 51, 153]).unwrap();
        let shares = labels.shares();
        assert_eq!(shares.iter().map(|share| share.class.as_str()).collect::<Vec<_>>(), ["car", "person"]);
        assert!((shares[0].share - 2.0 / 3.0).abs() < 1e-6 && (shares[0].confidence - 0.4).abs() < 1e-6);
        let picture = labels.to_picture().unwrap();
        assert_eq!((picture.width(), picture.height()), (33, 16));
        assert_eq!(picture.rgb()[..3], CLASSES[1].colour);
        assert_eq!(picture.rgb()[3 * 32..3 * 33], CLASSES[3].colour);
    }
}
