//! A machine's task: the class of each block of 16 × 16 pixels, against the label map of a picture.
//!
//! What a receiver tells a machine is compared as it is; of a picture, what the segmentation network of the run says of it, so
//! that both ways to do the task are in one table. Blocks that are of no class by the label map do not count.

use semcast_common::content::{
    Content,
    classes::{self, OTHER},
    labels::BLOCK,
};
use semcast_models::{
    ModelError, OpenDevice,
    metrics::Labels,
    sct::segmentation::{LabelMap, Segmenter},
};

use super::settings::Settings;
use crate::quality;

/// How the task is judged.
pub struct Task {
    /// Our class of each number of a label map.
    classes: Vec<u8>,
    segmenter: Option<Segmenter>,
}

impl Task {
    /// None if the numbers of label maps are not told as classes.
    pub fn new(settings: &Settings, device: &OpenDevice) -> Result<Option<Self>, ModelError> {
        let Some(classes) = classes_of(&settings.class_names) else { return Ok(None) };
        Ok(Some(Self { classes, segmenter: settings.segmentation.open(device)? }))
    }

    /// The class that most of each block shows.
    pub fn truth(&self, labels: &Labels) -> Vec<u8> {
        let (width, height) = (labels.width as usize, labels.height as usize);
        let class = |number: &u8| self.classes.get(usize::from(*number)).copied().unwrap_or(OTHER);
        let map =
            LabelMap { across: width, down: height, labels: labels.classes.iter().map(class).collect() };
        map.majority(width, height, BLOCK as usize)
    }

    /// Share of the blocks that are right. None if nobody tells what a picture shows.
    pub fn accuracy(&self, truth: &[u8], received: &Content) -> anyhow::Result<Option<f64>> {
        let right = |found: &[u8]| {
            let told = truth.iter().zip(found).filter(|(truth, _)| **truth != OTHER);
            let (all, right) =
                told.fold((0_usize, 0_usize), |(all, right), (a, b)| (all + 1, right + usize::from(a == b)));
            (all > 0).then(|| right as f64 / all as f64)
        };
        Ok(match (received, &self.segmenter) {
            (Content::Labels(labels), _) => right(labels.classes()),
            (Content::Picture(picture), Some(segmenter)) => right(&quality::blocks(segmenter, picture)?),
            _ => None,
        })
    }
}

/// A line of names is a class, or anything and then a class. None if there is a line without one.
pub fn classes_of(lines: &[String]) -> Option<Vec<u8>> {
    let class = |line: &String| match classes::find(line.split_whitespace().last()?)?[..] {
        [class] => Some(class),
        _ => None,
    };
    if lines.is_empty() { None } else { lines.iter().map(class).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(String::from).collect()
    }

    #[test]
    fn a_line_is_a_class_or_ends_in_one() {
        assert_eq!(classes_of(&lines("sky\ntree vegetation\nvoid other")), Some(vec![13, 12, 0]));
        assert_eq!(classes_of(&lines("sky\ntree")), None);
        assert_eq!(classes_of(&lines("vehicle")), None);
        assert_eq!(classes_of(&[]), None);
    }

    #[test]
    fn blocks_of_no_class_do_not_count() {
        let task = Task { classes: vec![0, 13, 3], segmenter: None };
        // Four blocks: sky, mostly sky, car, void.
        let numbers = |x: u32| [1, if x < 28 { 1 } else { 2 }, 2, 0][(x / 16) as usize];
        let classes = (0..64 * 16).map(|at| numbers(at % 64)).collect();
        let truth = task.truth(&Labels { width: 64, height: 16, classes });
        assert_eq!(truth, [13, 13, 3, 0]);
        let found = |classes: Vec<u8>| {
            Content::Labels(
                semcast_common::content::Labels::new(64, 16, classes, vec![255; 4]).expect("labels"),
            )
        };
        let accuracy =
            |classes| task.accuracy(&truth, &found(classes)).expect("no network").expect("a share");
        assert!((accuracy(vec![13, 3, 3, 9]) - 2.0 / 3.0).abs() < 1e-12);
    }
}
