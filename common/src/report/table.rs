//! Aligned plain text for terminals.

use super::Report;

/// Rows of cells under a header; the first column is aligned to the left, the others to the right.
#[derive(Clone, Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with this header.
    pub fn new(header: [&str; COLUMNS]) -> Self {
        Self { rows: vec![header.map(String::from)] }
    }

    /// One more row.
    pub fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }
}

impl<const COLUMNS: usize> std::fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                line += &match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
            if index == 0 {
                writeln!(f, "{}", "─".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1)))?;
            }
        }
        Ok(())
    }
}

/// A number with so many decimals; – if unknown, ∞ if infinite.
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_nan() {
        "–".into()
    } else if value.is_infinite() {
        if value > 0.0 { "∞".into() } else { "−∞".into() }
    } else {
        format!("{value:.decimals$}")
    }
}

/// An integer with a thin gap between thousands.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

impl Report {
    /// All fields as a table for the terminal: name, value, unit.
    pub fn table(&self) -> String {
        let mut table = Table::new(["", "value", "unit"]);
        let mut row = |name: &str, value: String, unit: &str| {
            table.row([name.into(), value, unit.into()]);
        };
        row("system", self.system.to_string(), "");
        row("seed", self.seed.to_string(), "");
        row("channel", self.channel.clone(), "");
        row("SNR set", number(self.snr_db_set, 2), "dB");
        row("SNR estimated", number(self.snr_db_estimated, 2), "dB");
        row("CFO estimated", number(self.cfo_hz_estimated, 1), "Hz");
        if let Some(image) = self.image {
            row("picture", format!("{} × {}", image.width, image.height), "pixels");
        }
        row("source", grouped(self.bytes_source), "bytes");
        if self.bytes_coded > 0 {
            row("coded", grouped(self.bytes_coded), "bytes");
        }
        if !self.mcs.is_empty() {
            row("MCS", self.mcs.clone(), "");
        }
        row("mode", self.mode.clone(), "");
        row("symbols, payload", grouped(self.symbols_payload), "REs");
        for (cause, symbols) in self.overhead.causes() {
            row(&format!("  {cause}"), grouped(symbols), "REs");
        }
        row("symbols, total", grouped(self.symbols_total), "REs");
        row("overhead", number(self.overhead_percent, 2), "%");
        row("CBR, net", number(self.cbr_net, 4), "symbols/value");
        row("CBR, gross", number(self.cbr_gross, 4), "symbols/value");
        row("Shannon bound", number(self.shannon_bits, 0), "bits");
        row("airtime", number(self.airtime_ms, 2), "ms");
        row("frames sent", self.frames_sent.to_string(), "");
        row("frames received", self.frames_received.to_string(), "");
        row("frames resent", self.resends.to_string(), "");
        row("segments combined", self.segments_combined.to_string(), "");
        row("bytes and symbols missing", self.missing.to_string(), "");
        if !self.classes.is_empty() {
            for found in &self.classes {
                let sure = number(f64::from(found.confidence), 2);
                row(
                    &format!("  {}", found.class),
                    number(f64::from(100.0 * found.share), 1),
                    &format!("% of blocks, {sure} sure"),
                );
            }
            row("task accuracy", number(self.task_accuracy, 4), "");
        } else if self.image.is_some() {
            row("PSNR", number(self.psnr_db, 2), "dB");
            row("SSIM", number(self.ssim, 4), "");
            row("MS-SSIM", number(self.ms_ssim, 4), "");
        } else {
            row("text error rate", number(self.text_error_rate, 4), "");
        }
        if let Some(exact) = self.exact {
            row("equal to the original", if exact { "yes" } else { "no" }.into(), "");
        }
        row("confidence", number(self.confidence, 3), "");
        let latency = &self.latency_ms;
        row("encode", number(latency.encode, 2), "ms");
        row("modulate", number(latency.modulate, 2), "ms");
        row("air", number(latency.air, 2), "ms");
        row("demodulate", number(latency.demodulate, 2), "ms");
        row("decode", number(latency.decode, 2), "ms");
        row("total", number(latency.total, 2), "ms");
        if let Some(clock) = self.clock {
            let offset = format!("{:+} ± {}", clock.offset_us, clock.uncertainty_us);
            row("receiver's clock ahead by", offset, "µs");
        }
        if !self.device_transmitter.is_empty() || !self.device_receiver.is_empty() {
            row("devices", format!("{} → {}", self.device_transmitter, self.device_receiver), "");
        }
        table.left_last().to_string()
    }
}

impl Table<3> {
    /// Aligns the last column, the units, to the left: pads its cells to one width.
    fn left_last(mut self) -> Self {
        let width = self.rows.iter().map(|row| row[2].chars().count()).max().unwrap_or(0);
        for row in &mut self.rows {
            row[2] = format!("{:<width$}", row[2]);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parts, setting};
    use super::super::{Quality, Report};
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", "value"]);
        table.row(["α".into(), "1".into()]);
        table.row(["longer".into(), "1000".into()]);
        let expected = "name    value\n─────────────\nα           1\nlonger   1000\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(number(1.256, 2), "1.26");
        assert_eq!(number(f64::NAN, 2), "–");
        assert_eq!(number(f64::INFINITY, 2), "∞");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn the_report_shows_cost_and_units() {
        let (transmitter, receiver) = parts();
        let report = Report::merge(&setting(), &transmitter, Some(&receiver), Quality::default());
        let table = report.table();
        let line = table.lines().find(|line| line.starts_with("symbols, total")).unwrap();
        assert!(line.ends_with("3 000  REs"), "{line:?}");
        assert!(table.contains("picture") && !table.contains("text error rate"));
    }
}
