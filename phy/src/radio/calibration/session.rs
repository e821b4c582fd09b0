//! Two radios in one process: probes go out of one and are read from the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::probe::{self, Reading};
use crate::mode::Mode;
use crate::numerology::Numerology;
use crate::radio::open::{AnySink, AnySource};
use crate::radio::{RadioError, RadioSource};
use crate::receive::Demodulator;
use crate::transmit::Modulator;

/// Readings that may wait.
const MAX_WAITING: usize = 256;
/// Samples that are demodulated at a time.
const PIECE_SAMPLES: usize = 8192;
/// Silence behind a burst, as behind a transmitter's.
const SILENCE: usize = 64;
/// Longest wait for a receiver to hear.
const HEARING: Duration = Duration::from_secs(10);
/// Between looks at whether it does.
const LOOK: Duration = Duration::from_millis(10);

/// What the receiving side has met beside probes.
#[derive(Debug, Default)]
struct Seen {
    hearing: AtomicBool,
    lost_samples: AtomicU64,
    strangers: AtomicU64,
}

/// A transmitting and a receiving radio.
pub struct Session {
    sink: AnySink,
    modulator: Modulator,
    transmitter: u16,
    next: u16,
    readings: Receiver<(u16, Reading)>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
    samples: Vec<Complex32>,
    patience: Duration,
}

impl Session {
    /// Starts to listen, and waits until what is sent will be heard.
    ///
    /// # Errors
    /// [`RadioError`] if the thread does not start, [`RadioError::Deaf`] if the receiver hears nothing within 10 s.
    pub fn start(
        sink: AnySink,
        source: AnySource,
        numerology: Numerology,
        transmitter: u16,
        patience: Duration,
    ) -> Result<Self, RadioError> {
        let (send, readings) = sync_channel(MAX_WAITING);
        let (seen, stop) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let (noted, stopping) = (seen.clone(), stop.clone());
        let demodulator = Demodulator::new(numerology);
        let listener = std::thread::Builder::new()
            .name("calibrate".into())
            .spawn(move || listen(source, demodulator, transmitter, &send, &noted, &stopping))?;
        let session = Self {
            sink,
            modulator: Modulator::new(numerology),
            transmitter,
            next: 0,
            readings,
            seen,
            stop,
            listener: Some(listener),
            samples: Vec::new(),
            patience,
        };
        let until = Instant::now() + HEARING;
        while !session.seen.hearing.load(Ordering::Relaxed) {
            if Instant::now() >= until {
                return Err(RadioError::Deaf { waited: HEARING });
            }
            std::thread::sleep(LOOK);
        }
        Ok(session)
    }

    /// Sends `count` probes, one a burst, at a level in dB over the radio's usual one. Returns the readings of those that arrived, in
    /// order.
    ///
    /// # Errors
    /// [`RadioError`] of the transmitting radio.
    pub fn probe(&mut self, mode: Mode, level_db: f64, count: usize) -> Result<Vec<Reading>, RadioError> {
        let scale = 10f64.powf(level_db / 20.0) as f32;
        let mut got = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.next;
            self.next = self.next.wrapping_add(1);
            self.samples.clear();
            let frame = probe::frame(number, mode, self.transmitter);
            self.modulator.modulate(&frame, &mut self.samples).map_err(|_| RadioError::OutOfRange {
                name: "resource_blocks",
                value: 0.0,
                allowed: "enough for a probe of 9000 symbols and 200 bytes in 560 symbols",
            })?;
            if scale != 1.0 {
                self.samples.iter_mut().for_each(|sample| *sample *= scale);
            }
            self.samples.resize(self.samples.len() + SILENCE, Complex32::default());
            self.sink.send_burst(&self.samples)?;
            got.extend(self.wait_for(number));
        }
        Ok(got)
    }

    fn wait_for(&self, number: u16) -> Option<Reading> {
        let until = Instant::now() + self.patience;
        loop {
            match self.readings.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((of, reading)) if of == number => return Some(reading),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Samples that were lost before the receiver so far.
    pub fn lost_samples(&self) -> u64 {
        self.seen.lost_samples.load(Ordering::Relaxed)
    }

    /// Frames that were heard and are no probes of this session.
    pub fn strangers(&self) -> u64 {
        self.seen.strangers.load(Ordering::Relaxed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            // A listener that panicked has told so.
            let _ = listener.join();
        }
    }
}

fn listen(
    mut source: AnySource,
    mut demodulator: Demodulator,
    transmitter: u16,
    readings: &SyncSender<(u16, Reading)>,
    seen: &Seen,
    stop: &AtomicBool,
) {
    let mut samples = Vec::new();
    let mut position = 0i64;
    while !stop.load(Ordering::Relaxed) {
        samples.clear();
        let received = match source.receive(&mut samples) {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "radio");
                std::thread::sleep(LOOK);
                continue;
            }
        };
        seen.hearing.store(source.hears(), Ordering::Relaxed);
        if received.restarted || received.lost_before > 0 {
            seen.lost_samples.fetch_add(received.lost_before, Ordering::Relaxed);
            demodulator.restart(position);
        }
        for piece in samples.chunks(PIECE_SAMPLES) {
            position += piece.len() as i64;
            demodulator.push(piece, &mut |frame| match probe::read(&frame, transmitter) {
                // A reading that finds no room is of a probe that nobody waits for any more.
                Some(reading) => drop(readings.try_send((frame.header.number, reading))),
                None => drop(seen.strangers.fetch_add(1, Ordering::Relaxed)),
            });
        }
    }
}
