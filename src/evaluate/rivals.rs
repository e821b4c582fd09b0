//! Published curves of other systems, from a data file. All of them are for an idealised channel, so they are drawn
//! beside idealised results only.

use std::path::Path;

use semcast_phy::channel::Profile;
use serde::Deserialize;

use super::{settings::Settings, summary::Metric};
use crate::{cbr::Cbr, exit::Failure};

/// Rates as near as this are the same: published ones are rounded.
const SAME_CBR: f64 = 0.01;

/// A data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// For people.
    #[expect(dead_code, reason = "stands in the file for whoever reads that")]
    about: String,
    curves: Vec<Rival>,
}

/// A published curve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rival {
    /// Its name.
    pub system: String,
    /// How the figures came about: `stated` in the source, `read off` its plot, `computed` from published data.
    pub mark: Mark,
    /// Where it was published.
    #[expect(dead_code, reason = "stands in the file for whoever reads that")]
    source: String,
    /// Name of the folder of its pictures.
    pictures: String,
    channel: Profile,
    cbr: f64,
    /// As in the summary.
    metric: String,
    /// SNR in dB and figure.
    pub points: Vec<(f64, f64)>,
}

/// How figures came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// In the source.
    Stated,
    /// From its plot.
    ReadOff,
    /// From published data.
    Computed,
}

impl Mark {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::ReadOff => "read off",
            Self::Computed => "computed",
        }
    }
}

/// Reads the file.
pub fn load(path: &Path, ideal: bool) -> anyhow::Result<Vec<Rival>> {
    let refused = |reason: String| Failure::Usage(format!("--rivals {}: {reason}", path.display()));
    if !ideal {
        return Err(
            refused("published curves are idealised, so they stand beside --ideal only".into()).into()
        );
    }
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    parse(&text).map_err(|error| refused(error).into())
}

fn parse(text: &str) -> Result<Vec<Rival>, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for rival in &file.curves {
        if !Metric::ALL.iter().any(|metric| metric.key() == rival.metric) {
            let known = Metric::ALL.map(Metric::key).join(", ");
            return Err(format!("unknown metric {:?}: one of {known}", rival.metric));
        }
    }
    Ok(file.curves)
}

impl Rival {
    /// Whether it belongs into a plot.
    pub fn fits(&self, settings: &Settings, channel: &Profile, cbr: &Cbr, metric: Metric) -> bool {
        let pictures = self.pictures.eq_ignore_ascii_case(&settings.pictures.name);
        let rate = (self.cbr / cbr.value() - 1.0).abs() < SAME_CBR;
        settings.ideal && pictures && rate && self.channel == *channel && self.metric == metric.key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_documentation_is_one() {
        let rivals = parse(include_str!("../../docs/rivals.json")).expect("docs/rivals.json");
        let at = |system: &str, metric: &str, snr_db: f64| {
            let curves = rivals.iter().filter(|rival| rival.system == system && rival.metric == metric);
            let mut points = curves.filter(|rival| rival.cbr == 0.0625).flat_map(|rival| &rival.points);
            points.find(|point| point.0 == snr_db).expect("a point").1
        };
        assert_eq!(at("WITT", "psnr_db", 1.0), 29.66);
        assert_eq!(at("DeepJSCC", "ms_ssim_db", 13.0), 17.8);
    }

    #[test]
    fn a_metric_that_nobody_plots_is_refused() {
        let text = r#"{"about": "", "curves": [{"system": "x", "mark": "stated", "source": "", "pictures": "kodak",
            "channel": "awgn", "cbr": 0.1, "metric": "beauty", "points": []}]}"#;
        assert!(parse(text).expect_err("no such metric").contains("psnr_db"));
    }
}
