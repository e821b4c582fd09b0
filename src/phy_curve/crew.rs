//! Trials on several threads, with results that do not depend on how many.

use std::ops::{AddAssign, Range};
use std::sync::atomic::{AtomicU64, Ordering};

/// Trials between two looks at whether they are enough.
const ROUND: u64 = 64;

/// Workers, one a thread, each with memory of its own.
pub struct Crew<W> {
    workers: Vec<W>,
}

impl<W: Send> Crew<W> {
    /// Makes the workers.
    pub fn new(threads: usize, mut make: impl FnMut() -> anyhow::Result<W>) -> anyhow::Result<Self> {
        Ok(Self { workers: (0..threads.max(1)).map(|_| make()).collect::<anyhow::Result<_>>()? })
    }

    /// The sum of a trial's results over all seeds.
    pub fn run<T: Default + AddAssign + Send>(
        &mut self,
        seeds: Range<u64>,
        trial: impl Fn(&mut W, u64) -> anyhow::Result<T> + Sync,
    ) -> anyhow::Result<T> {
        let next = AtomicU64::new(seeds.start);
        let work = |worker: &mut W| {
            let mut sum = T::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return anyhow::Ok(sum);
                }
                sum += trial(worker, seed)?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                self.workers.iter_mut().map(|worker| scope.spawn(|| work(worker))).collect();
            let mut sum = T::default();
            for thread in threads {
                match thread.join() {
                    Ok(part) => sum += part?,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(sum)
        })
    }

    /// As [`Self::run`], in rounds, until the sum is enough.
    pub fn run_until<T: Default + AddAssign + Send>(
        &mut self,
        seeds: Range<u64>,
        enough: impl Fn(&T) -> bool,
        trial: impl Fn(&mut W, u64) -> anyhow::Result<T> + Sync,
    ) -> anyhow::Result<T> {
        let mut sum = T::default();
        let mut start = seeds.start;
        while start < seeds.end && !enough(&sum) {
            let end = seeds.end.min(start + ROUND);
            sum += self.run(start..end, &trial)?;
            start = end;
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_does_not_depend_on_the_threads() {
        let sums = [1, 3, 8].map(|threads| {
            let mut crew = Crew::new(threads, || Ok(0u64)).expect("workers");
            crew.run_until(
                5..1000,
                |&sum| sum > 10_000,
                |calls, seed| {
                    *calls += 1;
                    Ok(seed)
                },
            )
            .expect("no trial fails")
        });
        // 5 to 196 in three rounds: 19,296.
        assert_eq!(sums, [19_296; 3]);
    }

    #[test]
    fn a_failing_trial_fails_the_run() {
        let mut crew = Crew::new(2, || Ok(())).expect("workers");
        let result = crew.run(0..100, |(), seed| if seed == 50 { anyhow::bail!("fifty") } else { Ok(0) });
        assert_eq!(result.expect_err("one fails").to_string(), "fifty");
    }
}
