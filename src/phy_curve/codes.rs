//! LDPC codes over white noise, beside the reference decoder.

use semcast_phy::{
    coding::ldpc::BaseGraph,
    curves::{CodeBlock, CodeTrial, REFERENCE},
};

use super::{Figure, Run, crew::Crew, mcs::count, threshold_db};

const ITERATIONS: usize = 20;
const STEP_DB: f64 = 0.1;

pub fn run(run: &Run) -> anyhow::Result<()> {
    let frames = run.frames(10_000);
    for (block, reference_db) in REFERENCE {
        let mut crew = Crew::new(run.threads, || Ok(CodeTrial::new(block, ITERATIONS)?))?;
        let from_db = block.snr_db(reference_db - 0.6);
        let snr_db = threshold_db(from_db, STEP_DB, |snr_db| count(&mut crew, run, snr_db, frames))?;
        let mut figure = Figure::new("code", name(&block)).rounded("rate", block.rate(), 4);
        if let Some(snr_db) = snr_db {
            let eb_n0_db = block.eb_n0_db(snr_db);
            figure = figure
                .rounded("eb_n0_db", eb_n0_db, 2)
                .rounded("reference_eb_n0_db", reference_db, 2)
                .rounded("difference_db", eb_n0_db - reference_db, 2)
                .rounded("snr_db", snr_db, 2);
        }
        run.print(figure.with("frames", frames).with("iterations", ITERATIONS))?;
    }
    Ok(())
}

fn name(block: &CodeBlock) -> String {
    let graph = match block.base_graph {
        BaseGraph::One => 1,
        BaseGraph::Two => 2,
    };
    format!("BG{graph} K={} E={}", block.information_bits, block.coded_bits)
}
