//! The command line of semcast: one file a subcommand.

mod air;
mod air_metrics;
mod cbr;
mod children;
mod evaluate;
mod exit;
mod figures;
mod flags;
mod inspect;
mod keygen;
mod link;
mod loopback;
mod measure;
mod metrics;
mod models;
mod phy_bench;
mod phy_curve;
mod quality;
mod radio;
mod radio_choice;
mod receiver;
mod recording;
mod semantics;
mod send;
mod train;
mod transmitter;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sends the meaning of pictures and text over a radio link.
///
/// `semcast loopback` shows all of it on this machine: a transmitter, an emulated channel and a receiver, each
/// a process of its own.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 the content cannot be sent; 4 the message
/// did not arrive; 5 a peer or the air is not there.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Loopback(loopback::Args),
    Transmitter(transmitter::Args),
    Receiver(receiver::Args),
    Record(recording::RecordArgs),
    Replay(recording::ReplayArgs),
    Air(air::Args),
    Send(send::Args),
    Watch(watch::Args),
    Measure(measure::Args),
    Models(models::Args),
    Metrics(metrics::Args),
    Inspect(inspect::Args),
    Evaluate(evaluate::Args),
    PhyBench(phy_bench::Args),
    PhyCurve(phy_curve::Args),
    Radio(radio::Args),
    Keygen(keygen::Args),
    Train(train::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Loopback(args) => loopback::run(args),
        Command::Transmitter(args) => transmitter::run(args),
        Command::Receiver(args) => receiver::run(args),
        Command::Record(args) => recording::record(args),
        Command::Replay(args) => recording::replay(args),
        Command::Air(args) => air::run(args),
        Command::Send(args) => send::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Measure(args) => measure::run(args),
        Command::Models(args) => models::run(args),
        Command::Metrics(args) => metrics::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::PhyBench(args) => phy_bench::run(args),
        Command::PhyCurve(args) => phy_curve::run(args),
        Command::Radio(args) => radio::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Train(args) => train::run(args),
    };
    exit::code(result)
}
