//! `semcast models`: the networks that come with the program.

mod bench;

use std::fmt;

use clap::{Args as ClapArgs, Subcommand};
use semcast_common::message::SystemId;
use semcast_models::built_in_models;
use serde::Serialize;

use crate::figures::Printer;

/// List the networks that come with the program, or measure how fast they are here
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(List),
    Bench(bench::Args),
}

/// List the networks: system, digest that both ends must share, size, where the weights come from
#[derive(ClapArgs)]
struct List {
    /// One JSON object a network
    #[arg(long)]
    json: bool,
}

/// A network in the list.
#[derive(Serialize)]
struct Entry {
    system: SystemId,
    digest: String,
    bytes: usize,
    source: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, digest, bytes, source } = self;
        write!(f, "{:12} {digest}  {:7.2} MB  {source}", system.name(), *bytes as f64 / 1e6)
    }
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List(List { json }) => {
            let printer = Printer { json };
            for model in built_in_models() {
                printer.print(&Entry {
                    system: model.system,
                    digest: model.digest.to_string(),
                    bytes: model.bytes,
                    source: format!("part of the program ({})", model.file),
                })?;
            }
            Ok(())
        }
        Command::Bench(args) => bench::run(args),
    }
}
