//! The card of a weight file: what it is, how it came about, how good it is. What the program cannot know is left
//! to be filled in, and says so.

use std::fmt::Write;

use super::pictures::Pictures;
use super::run::{Options, Run};
use super::task::{Figure, Task};
use crate::ae::weights::digest_of;

/// The card, in Markdown.
pub(super) fn write<T: Task>(
    task: &T,
    options: &Options,
    pictures: &Pictures,
    run: &Run<T::Network>,
    bytes: &[u8],
    figures: &[Figure],
) -> String {
    let name = task.name();
    let count = task.parameters(&run.network);
    let mut card = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        card,
        "# Weights: `{name}.safetensors`\n\n{}\n\n{:.2} million parameters, {:.1} MB, digest `{}`.\n",
        task.describe(),
        count as f64 / 1e6,
        bytes.len() as f64 / 1e6,
        digest_of(bytes)
    );
    let _ = writeln!(card, "## How it was trained\n\n    {}\n", options.command);
    let _ = writeln!(
        card,
        "Step {} of {}, {} crops a step, seed {}, greatest learning rate {}, weight decay {}{}.\n",
        run.step,
        options.steps,
        task.crops(),
        options.seed,
        options.learning_rate,
        options.weight_decay,
        options.from.as_ref().map_or_else(String::new, |from| format!(", from `{}`", from.display()))
    );
    let _ = writeln!(card, "## Data\n\n| folder | pictures | licence |\n|---|---|---|");
    for (folder, count) in pictures.folders() {
        let _ = writeln!(card, "| `{}` | {count} | to be filled in |", folder.display());
    }
    let _ = writeln!(
        card,
        "\n{} to train on, {} held out.\n\n## Held-out pictures\n\n| figure | value |\n|---|---|",
        pictures.training(),
        pictures.held_out()
    );
    for (figure, value) in figures {
        let _ = writeln!(card, "| {figure} | {value:.3} |");
    }
    card
}
