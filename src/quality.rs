//! Quality: original and received content → the quality figures of a report.

use semcast_common::{
    content::{Content, Picture, labels::BLOCK},
    report::Quality,
};
use semcast_models::{
    DeviceChoice, metrics, open_device,
    sct::segmentation::{Choice, Segmenter},
};

/// Compares what was sent with what arrived. `task`: the network whose answer to the original is that to a machine's task.
pub fn compare(original: &Content, received: &Content, task: &Choice) -> anyhow::Result<Quality> {
    match (original, received) {
        (Content::Picture(original), Content::Labels(received)) => {
            let task_accuracy = match task.open(&open_device(DeviceChoice::Cpu)?)? {
                None => None,
                Some(segmenter) => received.agreement(&blocks(&segmenter, original)?),
            };
            let task_accuracy = task_accuracy.unwrap_or(f64::NAN);
            Ok(Quality { task_accuracy, classes: received.shares(), ..Quality::default() })
        }
        (Content::Picture(original), Content::Picture(received)) => pictures(original, received),
        (Content::Text(original), Content::Text(received)) => {
            Ok(Quality { text_error_rate: text_error_rate(original, received), ..Quality::default() })
        }
        _ => anyhow::bail!("a picture was sent and a text arrived, or the other way round"),
    }
}

/// The class that a network gives each block of a picture.
pub fn blocks(segmenter: &Segmenter, picture: &Picture) -> anyhow::Result<Vec<u8>> {
    let found = segmenter.segment(picture)?;
    Ok(found.majority(picture.width() as usize, picture.height() as usize, BLOCK as usize))
}

fn pictures(original: &Picture, received: &Picture) -> anyhow::Result<Quality> {
    Ok(Quality {
        psnr_db: metrics::psnr_db(original, received)?,
        ssim: metrics::ssim(original, received)?,
        ms_ssim: metrics::ms_ssim(original, received)?,
        ..Quality::default()
    })
}

/// Characters that must be changed, added or taken away (Levenshtein), over the length of the original.
fn text_error_rate(original: &str, received: &str) -> f64 {
    if original == received {
        return 0.0;
    }
    // The distance costs the product of both lengths: what follows this much is not compared.
    const MOST_CHARACTERS: usize = 8192;
    let original: Vec<char> = original.chars().take(MOST_CHARACTERS).collect();
    let received: Vec<char> = received.chars().take(MOST_CHARACTERS).collect();
    let mut row: Vec<usize> = (0..=received.len()).collect();
    for (i, a) in original.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in received.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[received.len()] as f64 / original.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(text_error_rate("kitten", "kitten"), 0.0);
        assert_eq!(text_error_rate("kitten", "sitting"), 3.0 / 6.0);
        assert_eq!(text_error_rate("abc", ""), 1.0);
    }
}
