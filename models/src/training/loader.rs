//! Batches, drawn ahead by threads of their own and handed over in order.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

/// Batches that each thread holds ready.
const READY: usize = 2;

/// Draws `steps` ahead. Threads end when they are done or the iterator is dropped.
pub fn start<'scope, B: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    steps: Range<u64>,
    draw: &'scope (dyn Fn(u64) -> B + Sync),
) -> impl Iterator<Item = B> + use<B> {
    // A quarter of the processors feeds a CPU that trains with the rest, and a GPU.
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(4));
    let receivers: Vec<Receiver<B>> = (0..threads)
        .map(|thread| {
            let (sender, receiver) = sync_channel(READY);
            let mine = steps.clone().skip(thread).step_by(threads);
            scope.spawn(move || mine.into_iter().all(|step| sender.send(draw(step)).is_ok()));
            receiver
        })
        .collect();
    (0..steps.end.saturating_sub(steps.start))
        .map_while(move |index| receivers[index as usize % threads].recv().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_in_order_and_threads_end_with_them() {
        let draw = |step: u64| step * 10;
        let drawn: Vec<u64> = std::thread::scope(|scope| start(scope, 3..40, &draw).collect());
        assert_eq!(drawn, (3..40).map(|step| step * 10).collect::<Vec<_>>());
        let first: Vec<u64> = std::thread::scope(|scope| start(scope, 0..u64::MAX, &draw).take(2).collect());
        assert_eq!(first, [0, 10]);
    }
}
