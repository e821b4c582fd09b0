//! Tables: means → JSON, CSV and Markdown.

use std::{fmt::Write, path::Path};

use anyhow::Context;
use semcast_common::config::Allocation;
use serde_json::json;

use super::{
    Code, Feedback, ideal,
    settings::Settings,
    summary::{Group, LEAST_SHARE, Row},
    trial::Trial,
};

/// Writes `summary.json`, `summary.csv` and `summary.md`.
pub fn write(folder: &Path, settings: &Settings, groups: &[Group]) -> anyhow::Result<()> {
    let json = format!("{}\n", serde_json::to_string_pretty(&json(settings, groups))?);
    for (name, text) in [
        ("summary.json", json),
        ("summary.csv", csv(settings, groups)),
        ("summary.md", markdown(settings, groups)),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// In a few words: over what the trials ran.
pub fn conditions(settings: &Settings) -> String {
    let mut words = format!("{} pictures of {}", settings.pictures.pictures.len(), settings.pictures.name);
    if settings.pictures.pictures.len() == 1 {
        words = settings.pictures.name.clone();
    }
    let _ = match settings.seeds {
        1 => write!(words, ", 1 seed"),
        seeds => write!(words, ", {seeds} seeds"),
    };
    if let Some(told) = settings.told_snr_db {
        let _ = write!(words, ", transmitter told {told} dB");
    }
    if settings.feedback == Feedback::Ideal {
        let rounds = settings.max_resends;
        let _ = match settings.ideal {
            true => write!(words, ", transmitter knows the channel"),
            false => match settings.budget_ms {
                Some(budget) => write!(words, ", ideal feedback, rounds for {budget} ms of airtime"),
                None => write!(words, ", ideal feedback, up to {rounds} rounds of resending"),
            },
        };
    } else if !settings.ideal {
        words += ", one way";
    }
    if settings.allocation != Allocation::default() {
        let name = serde_json::to_value(settings.allocation).unwrap_or_default();
        let _ = write!(words, ", resource blocks: {}", name.as_str().unwrap_or_default());
    }
    for more in [settings.intent_in_words(), settings.radio_in_words()] {
        if !more.is_empty() {
            let _ = write!(words, ", {more}");
        }
    }
    for (what, value, unit) in [
        ("Doppler", settings.channel.doppler_hz, "Hz"),
        ("carrier offset", settings.channel.cfo_hz, "Hz"),
        ("clock offset", settings.channel.sampling_offset_ppm, "ppm"),
    ] {
        if value != 0.0 {
            let _ = write!(words, ", {what} {value} {unit}");
        }
    }
    words
}

/// What an idealised result leaves out.
pub fn ideal_note(settings: &Settings) -> String {
    if settings.code == Code::Capacity {
        return "**ideal, at capacity**: bytes arrive intact at log2(1 + SNR) bits a symbol, which no code does; headers and \
                side information for nothing. A bound, and not what a radio would give."
            .into();
    }
    format!(
        "**ideal**: payload symbols alone over a channel that the receiver knows exactly; headers and side information \
         for nothing. `classical` goes through this program's LDPC codes and constellations, on the fastest step of the \
         ladder whose threshold lies {} dB below the SNR. Not what a radio would give.",
        ideal::MARGIN_DB
    )
}

/// `, ideal` where it is.
pub fn mark(settings: &Settings) -> &'static str {
    if settings.ideal { ", ideal" } else { "" }
}

fn json(settings: &Settings, groups: &[Group]) -> serde_json::Value {
    let groups: Vec<_> = groups
        .iter()
        .map(|group| {
            json!({
                "channel": group.channel.to_string(),
                "cbr": group.cbr.value(),
                "ideal": settings.ideal,
                "rows": group.rows,
            })
        })
        .collect();
    json!({
        "version": Trial::version(),
        "ideal": settings.ideal,
        "conditions": conditions(settings),
        "pictures": settings.pictures.name,
        "seeds": settings.seeds,
        "told_snr_db": settings.told_snr_db,
        "feedback": settings.feedback,
        "max_resends": settings.max_resends,
        "budget_ms": settings.budget_ms,
        "radio": settings.radio_in_words(),
        "allocation": settings.allocation,
        "intent": settings.intent_in_words(),
        "lost_pictures": "count as grey",
        "groups": groups,
    })
}

fn csv(settings: &Settings, groups: &[Group]) -> String {
    let mut out = String::from("channel,cbr,ideal,system,model,snr_db,told_snr_db,trials,pictures");
    for metric in settings.metrics() {
        let key = metric.key();
        let _ = write!(out, ",{key}_mean,{key}_confidence_95,{key}_percentile_10");
    }
    out += ",lost,cbr_net,cbr_gross,overhead,encode_ms,decode_ms\n";
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for group in groups {
        for row in &group.rows {
            // Taps have commas.
            let _ = write!(
                out,
                "\"{}\",{},{},{},{},{},{},{},{}",
                group.channel,
                group.cbr.value(),
                settings.ideal,
                row.system,
                row.model,
                row.snr_db,
                number(settings.told_snr_db),
                row.trials,
                row.pictures
            );
            for metric in settings.metrics() {
                let figure = row.metrics.get(metric.key());
                for value in [
                    figure.map(|figure| figure.mean),
                    figure.and_then(|figure| figure.confidence_95),
                    figure.map(|figure| figure.percentile_10),
                ] {
                    let _ = write!(out, ",{}", number(value));
                }
            }
            let _ = writeln!(
                out,
                ",{},{},{},{},{},{}",
                row.lost,
                row.cbr_net,
                number(row.cbr_gross),
                number(row.overhead),
                row.encode_ms,
                number(row.decode_ms)
            );
        }
    }
    out
}

/// A table a channel and rate.
pub fn markdown(settings: &Settings, groups: &[Group]) -> String {
    let mut out =
        format!("# Race{}\n\n{}. Version {}.", mark(settings), conditions(settings), Trial::version());
    let mut models: Vec<String> = Vec::new();
    for row in groups.iter().flat_map(|group| &group.rows) {
        let model = format!(" Weights of `{}`: {}.", row.system, row.model);
        if row.model.contains(|digit: char| digit != '0') && !models.contains(&model) {
            models.push(model);
        }
    }
    out += &models.concat();
    out += "\nMean ± half of its 95 % confidence interval (10th percentile from the bad end). A lost picture counts as a grey one.\n";
    if settings.ideal {
        let _ = write!(out, "\n{}\n", ideal_note(settings));
    }
    for group in groups {
        let _ = write!(out, "\n## {}, CBR {}{}\n\n", group.channel, group.cbr, mark(settings));
        out += "| system | SNR dB |";
        for metric in settings.metrics() {
            let _ = write!(out, " {} |", metric.name());
        }
        out += " lost | CBR net | gross | overhead | encode ms | decode ms |\n|";
        out += &"---|".repeat(2 + settings.metrics().count() + 6);
        out += "\n";
        for row in &group.rows {
            out += &line(settings, row);
        }
        out += &by_class(settings, group);
    }
    out
}

/// A table of quality by class, if there are labels.
fn by_class(settings: &Settings, group: &Group) -> String {
    if group.rows.iter().all(|row| row.classes.is_empty()) {
        return String::new();
    }
    let mut out = format!(
        "\nBy class, over the pictures of which it is at least {} %. LPIPS: of the damage to the class alone, over its share.\n\n\
         | system | SNR dB | class | trials | share | PSNR, dB | LPIPS |\n|---|---|---|---|---|---|---|\n",
        100.0 * LEAST_SHARE
    );
    for row in &group.rows {
        for (number, means) in &row.classes {
            let name = settings.class_names.get(usize::from(*number)).filter(|name| !name.is_empty());
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} | {:.1} % | {:.2} | {} |",
                row.system,
                row.snr_db,
                name.cloned().unwrap_or_else(|| number.to_string()),
                means.trials,
                100.0 * means.share,
                means.psnr_db,
                means.lpips.map_or_else(|| "–".into(), |lpips| format!("{lpips:.4}"))
            );
        }
    }
    out
}

fn line(settings: &Settings, row: &Row) -> String {
    let mut out = format!("| `{}` | {} |", row.system, row.snr_db);
    for metric in settings.metrics() {
        let decimals = metric.decimals();
        let Some(figure) = row.metrics.get(metric.key()) else {
            out += " – |";
            continue;
        };
        let _ = write!(out, " {:.decimals$}", figure.mean);
        if let Some(half) = figure.confidence_95 {
            let _ = write!(out, " ± {half:.decimals$}");
        }
        let _ = write!(out, " ({:.decimals$}) |", figure.percentile_10);
    }
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".into());
    let _ = writeln!(
        out,
        " {:.1} % | {:.4} | {} | {} | {:.0} | {} |",
        100.0 * row.lost,
        row.cbr_net,
        or_dash(row.cbr_gross.map(|cbr| format!("{cbr:.4}"))),
        or_dash(row.overhead.map(|share| format!("{:.1} %", 100.0 * share))),
        row.encode_ms,
        or_dash(row.decode_ms.map(|time| format!("{time:.0}"))),
    );
    out
}
