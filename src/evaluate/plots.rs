//! Plots: means → a curve over SNR for each channel, rate and metric, as SVG.

use std::{fmt::Write, path::Path};

use anyhow::Context;

use super::{
    rivals::Rival,
    settings::Settings,
    summary::{Group, Metric},
    tables::{conditions, mark},
};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 80.0;
/// The legend stands to the right of this.
const RIGHT: f64 = 560.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 430.0;
/// For our systems, then for published ones; told apart by people who see colours otherwise, too
/// (M. Okabe, K. Ito: Color universal design, 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9"];

/// Writes a file a channel, rate and metric.
pub fn write(folder: &Path, settings: &Settings, groups: &[Group], rivals: &[Rival]) -> anyhow::Result<()> {
    for group in groups.iter().filter(|group| !group.rows.is_empty()) {
        for metric in settings.metrics() {
            let ideal = if settings.ideal { "ideal-" } else { "" };
            let name = file_name(&format!("{ideal}{}-cbr-{}-{}", group.channel, group.cbr, metric.key()));
            let path = folder.join(format!("{name}.svg"));
            let fitting: Vec<&Rival> = rivals
                .iter()
                .filter(|rival| rival.fits(settings, group.channel, group.cbr, metric))
                .collect();
            let plot = Plot {
                title: format!("{}, CBR {}{}", group.channel, group.cbr, mark(settings)),
                conditions: conditions(settings),
                horizontal: if settings.told_snr_db.is_some() { "SNR delivered, dB" } else { "SNR, dB" }
                    .into(),
                vertical: metric.name().into(),
                curves: curves(group, metric, &fitting),
            };
            std::fs::write(&path, plot.svg()).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Without characters that a file name may not have.
fn file_name(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    text.chars().map(kept).take(100).collect()
}

fn curves(group: &Group, metric: Metric, rivals: &[&Rival]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in &group.rows {
        let Some(figure) = row.metrics.get(metric.key()) else { continue };
        let name = row.system.to_string();
        let point = Point { snr_db: row.snr_db, value: figure.mean, half: figure.confidence_95 };
        match curves.last_mut() {
            Some(curve) if curve.name == name => curve.points.push(point),
            _ => curves.push(Curve { name, note: None, points: vec![point] }),
        }
    }
    for rival in rivals {
        let point = |&(snr_db, value): &(f64, f64)| Point { snr_db, value, half: None };
        curves.push(Curve {
            name: rival.system.clone(),
            note: Some(format!("published, ideal, {}", rival.mark.name())),
            points: rival.points.iter().map(point).collect(),
        });
    }
    for curve in &mut curves {
        curve.points.sort_by(|a, b| a.snr_db.total_cmp(&b.snr_db));
    }
    curves
}

struct Point {
    snr_db: f64,
    value: f64,
    /// Half of the confidence interval.
    half: Option<f64>,
}

struct Curve {
    name: String,
    /// Second line in the legend; curves with one are dashed.
    note: Option<String>,
    points: Vec<Point>,
}

struct Plot {
    title: String,
    conditions: String,
    horizontal: String,
    vertical: String,
    curves: Vec<Curve>,
}

/// Values along an axis and where they are drawn.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Round steps that hold all values.
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let span = (high - low).max(1e-3);
        let power = 10f64.powf((span / 6.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| span / step <= 7.0).unwrap_or(10.0 * power);
        let (mut low, mut high) = ((low / step).floor() * step, (high / step).ceil() * step);
        if high - low < step {
            (low, high) = (low - step, high + step);
        }
        Self { low, high, step, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = (f64, String)> + '_ {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        (0..)
            .map(|index| self.low + f64::from(index) * self.step)
            .take_while(|&tick| tick <= self.high + 0.5 * self.step)
            // Not −0.
            .map(move |tick| (tick, format!("{:.decimals$}", tick + 0.0)))
    }
}

impl Plot {
    fn svg(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let horizontal = Axis::new(points().map(|point| point.snr_db), LEFT, RIGHT);
        let bounds = |point: &Point| {
            let half = point.half.unwrap_or(0.0);
            [point.value - half, point.value + half]
        };
        let vertical = Axis::new(points().flat_map(bounds), BOTTOM, TOP);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
        );
        text(&mut out, LEFT, 28.0, "start", 17, &self.title);
        text(&mut out, LEFT, 50.0, "start", 12, &self.conditions);
        for (tick, label) in horizontal.ticks() {
            let x = horizontal.at(tick);
            line(&mut out, (x, TOP), (x, BOTTOM), "#dddddd", 1.0);
            text(&mut out, x, BOTTOM + 20.0, "middle", 13, &label);
        }
        for (tick, label) in vertical.ticks() {
            let y = vertical.at(tick);
            line(&mut out, (LEFT, y), (RIGHT, y), "#dddddd", 1.0);
            text(&mut out, LEFT - 8.0, y + 4.0, "end", 13, &label);
        }
        line(&mut out, (LEFT, BOTTOM), (RIGHT, BOTTOM), "black", 1.5);
        line(&mut out, (LEFT, TOP), (LEFT, BOTTOM), "black", 1.5);
        text(&mut out, (LEFT + RIGHT) / 2.0, BOTTOM + 48.0, "middle", 14, &self.horizontal);
        let middle = (TOP + BOTTOM) / 2.0;
        let _ = write!(out, "<g transform=\"rotate(-90 24 {middle})\">");
        text(&mut out, 24.0, middle, "middle", 14, &self.vertical);
        out += "</g>\n";
        let mut legend = TOP + 10.0;
        for (index, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<(f64, f64)> = curve
                .points
                .iter()
                .map(|point| (horizontal.at(point.snr_db), vertical.at(point.value)))
                .collect();
            polyline(&mut out, &places, colour, curve.note.is_some());
            for (&(x, y), point) in places.iter().zip(&curve.points) {
                if let Some(half) = point.half {
                    let (low, high) = (vertical.at(point.value - half), vertical.at(point.value + half));
                    line(&mut out, (x, low), (x, high), colour, 1.0);
                    line(&mut out, (x - 4.0, low), (x + 4.0, low), colour, 1.0);
                    line(&mut out, (x - 4.0, high), (x + 4.0, high), colour, 1.0);
                }
                marker(&mut out, (x, y), index, colour);
            }
            let start = RIGHT + 20.0;
            polyline(&mut out, &[(start, legend), (start + 36.0, legend)], colour, curve.note.is_some());
            marker(&mut out, (start + 18.0, legend), index, colour);
            text(&mut out, start + 44.0, legend + 4.0, "start", 13, &curve.name);
            legend += 18.0;
            if let Some(note) = &curve.note {
                text(&mut out, start + 44.0, legend + 2.0, "start", 11, note);
                legend += 18.0;
            }
            legend += 6.0;
        }
        if self.curves.iter().any(|curve| curve.points.iter().any(|point| point.half.is_some())) {
            text(&mut out, RIGHT + 20.0, BOTTOM, "start", 11, "bars: 95 % confidence of the mean");
        }
        out += "</svg>\n";
        out
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{text}</text>"
    );
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn polyline(out: &mut String, places: &[(f64, f64)], colour: &str, dashed: bool) {
    let places: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dashes = if dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
        places.join(" ")
    );
}

/// A circle, square, diamond or triangle.
fn marker(out: &mut String, (x, y): (f64, f64), index: usize, colour: &str) {
    let corners: &[(f64, f64)] = match index % 4 {
        0 => {
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
            return;
        }
        1 => &[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)],
        2 => &[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)],
        _ => &[(0.0, -5.0), (4.5, 3.5), (-4.5, 3.5)],
    };
    let corners: Vec<String> =
        corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
    let _ = writeln!(out, "<polygon points=\"{}\" fill=\"{colour}\"/>", corners.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps_around_all_values() {
        for (values, low, high, ticks) in [
            (vec![1.0, 13.0], 0.0, 14.0, 8),
            (vec![27.9, 35.8], 26.0, 36.0, 6),
            (vec![0.912, 0.988], 0.9, 1.0, 6),
            (vec![-5.0, 20.0], -5.0, 20.0, 6),
            (vec![10.0], 9.9998, 10.0002, 3),
            (vec![f64::NAN], 0.0, 1.0, 6),
        ] {
            let axis = Axis::new(values.iter().copied(), 0.0, 100.0);
            assert!(
                (axis.low - low).abs() < 1e-9 && (axis.high - high).abs() < 1e-9,
                "{values:?}: {} {}",
                axis.low,
                axis.high
            );
            assert_eq!(axis.ticks().count(), ticks, "{values:?}");
        }
    }

    #[test]
    fn names_cannot_break_the_file() {
        let point = Point { snr_db: 1.0, value: 30.0, half: Some(0.5) };
        let curve = Curve { name: "<a & b>".into(), note: Some("published".into()), points: vec![point] };
        let plot = Plot {
            title: "t".into(),
            conditions: "c".into(),
            horizontal: "SNR, dB".into(),
            vertical: "PSNR, dB".into(),
            curves: vec![curve],
        };
        let svg = plot.svg();
        assert!(svg.contains("&lt;a &amp; b&gt;") && svg.contains("stroke-dasharray"), "{svg}");
        assert_eq!(file_name("taps:0/0,5/-3-cbr-1/16"), "taps-0-0-5--3-cbr-1-16");
    }
}
