//! The emulated air: a server between transmitting and receiving radios.
//!
//! ```text
//! transmitters ──► uplink: turns, grants, a queue ──► engine ─┬─ channel ──► receiver 1
//!    (≤ 8, UDP)                                               ├─ channel ──► receiver 2
//!                                                             └─ …             (≤ 16, UDP)
//! ```
//!
//! With [`Pacing::Fast`] bursts are taken one after another, in the order in which transmitters asked. With
//! [`Pacing::Paced`] each begins when it comes, and those that overlap are added up.
//! Each receiver has a channel of its own. Receivers get one endless stream with nothing in it that
//! says where a burst is. With [`Pacing::Fast`], a receiver that listens from the start gets a stream
//! that depends on seed and bursts alone, not on timing: the channel's output for `lead_samples` of
//! silence, the burst, `tail_samples` of silence, and so on for each burst.
//!
//! Three threads: one takes datagrams of transmitters, one those of receivers, the caller's runs the
//! channels. The protocol is in `docs/PROTOCOL.md`, "Air datagrams".

mod burst_queue;
mod config;
mod control;
mod downlink;
mod engine;
mod leg;
mod loss;
mod raw;
mod records;
mod settings;
mod spectrum;
mod uplink;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::RadioError;
use super::datagram::{Datagram, Header, MAX_DATAGRAM_BYTES, parse, write};
use super::udp::{Bound, bind, session, transient};
pub use config::{AirConfig, AirMonitor, AirStats, Pacing};
use config::{Counters, add};
use control::Live;
pub use control::{AirControl, Spectrum};
use downlink::Downlink;
pub use downlink::MAX_RECEIVERS;
use engine::Engine;
pub use loss::LinkFaults;
use raw::{MAX_RAW_BYTES, RawQueue};
pub use raw::{RAW_PAYLOAD_BYTES, RawConfig};
pub use records::AirRecord;
pub use settings::{AirSettings, ChangeError, MAX_CHANGE_BYTES};
pub use spectrum::spectrum_db;
pub use uplink::MAX_TRANSMITTERS;
use uplink::{Outcome, Sharing, Uplink};

/// Time for which a socket waits before the stop flag is looked at.
const PATIENCE: Duration = Duration::from_millis(20);

/// An air that has its sockets but does not run yet.
#[derive(Debug)]
pub struct Air {
    shared: Shared,
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    config: AirConfig,
    session: u32,
    window: u64,
    transmitters: UdpSocket,
    receivers: UdpSocket,
    raw: Option<(UdpSocket, Mutex<RawQueue>)>,
    uplink: Mutex<Uplink>,
    uplink_changed: Condvar,
    downlink: Mutex<Downlink>,
    downlink_changed: Condvar,
    counters: Arc<Counters>,
    live: Arc<Live>,
    stop: Arc<AtomicBool>,
}

impl Air {
    /// Checks the settings and opens the sockets.
    ///
    /// # Errors
    /// [`RadioError::Bind`] when an address is taken; others when a setting is out of range.
    pub fn bind(config: AirConfig) -> Result<Self, RadioError> {
        config.validate()?;
        let Bound { socket: transmitters, window } = bind(config.listen_transmit)?;
        let Bound { socket: receivers, .. } = bind(config.listen_receive)?;
        let raw = config.raw.input.map(bind).transpose()?.map(|bound| bound.socket);
        for socket in [Some(&transmitters), Some(&receivers), raw.as_ref()].into_iter().flatten() {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        let session = session();
        let silence = Duration::from_millis(config.silence_ms.into());
        let settled = Instant::now() + Duration::from_millis(config.settle_ms.into());
        let rate = config.sample_rate_hz;
        let sharing = match config.pacing {
            Pacing::Fast => Sharing::Turns,
            Pacing::Paced => Sharing::Mixed,
        };
        Ok(Self {
            shared: Shared {
                session,
                window,
                transmitters,
                receivers,
                raw: raw.map(|socket| (socket, Mutex::new(RawQueue::new(config.raw.format, rate)))),
                uplink: Mutex::new(Uplink::new(session, rate, window, sharing, silence, settled)),
                uplink_changed: Condvar::new(),
                downlink: Mutex::new(Downlink::new(session, rate, silence)),
                downlink_changed: Condvar::new(),
                counters: Arc::default(),
                live: Arc::new(Live::new(AirSettings {
                    channel: config.channel.clone(),
                    faults: config.faults,
                })),
                stop: Arc::default(),
                config,
            },
        })
    }

    /// Where transmitters find it.
    ///
    /// # Errors
    /// [`RadioError::Io`] when the system does not tell.
    pub fn transmit_address(&self) -> Result<SocketAddr, RadioError> {
        Ok(self.shared.transmitters.local_addr()?)
    }

    /// Where receivers find it.
    ///
    /// # Errors
    /// [`RadioError::Io`] when the system does not tell.
    pub fn receive_address(&self) -> Result<SocketAddr, RadioError> {
        Ok(self.shared.receivers.local_addr()?)
    }

    /// Where samples without headers are taken, if anywhere.
    ///
    /// # Errors
    /// [`RadioError::Io`] when the system does not tell.
    pub fn raw_address(&self) -> Result<Option<SocketAddr>, RadioError> {
        Ok(self.shared.raw.as_ref().map(|(socket, _)| socket.local_addr()).transpose()?)
    }

    /// A view of the figures while it runs.
    pub fn monitor(&self) -> AirMonitor {
        AirMonitor(Arc::clone(&self.shared.counters))
    }

    /// A handle by which it can be watched and changed while it runs.
    pub fn control(&self) -> AirControl {
        AirControl {
            live: Arc::clone(&self.shared.live),
            monitor: self.monitor(),
            sample_rate_hz: self.shared.config.sample_rate_hz,
            pacing: self.shared.config.pacing,
        }
    }

    /// Runs until `stop` is raised, which it notices within a few tens of milliseconds.
    ///
    /// # Errors
    /// [`RadioError::Io`] when a thread cannot be started or a socket fails for good.
    pub fn run(mut self, stop: Arc<AtomicBool>) -> Result<AirStats, RadioError> {
        self.shared.stop = stop;
        let shared = &self.shared;
        std::thread::scope(|scope| {
            let thread = |name: &str| std::thread::Builder::new().name(name.into());
            let transmitters = thread("air-transmitters").spawn_scoped(scope, || {
                shared.listen(&shared.transmitters, |datagram, from| shared.hear_transmitter(datagram, from))
            })?;
            let receivers = thread("air-receivers").spawn_scoped(scope, || {
                shared.listen(&shared.receivers, |datagram, from| shared.hear_receiver(datagram, from))
            });
            let receivers = match receivers {
                Ok(handle) => handle,
                Err(error) => {
                    shared.stop.store(true, Ordering::Relaxed);
                    return Err(error.into());
                }
            };
            let raw = thread("air-raw").spawn_scoped(scope, || shared.listen_raw());
            let engine = raw.map_err(RadioError::from).and_then(|raw| Ok((raw, Engine::new(shared)?)));
            let raw = match engine {
                Ok((raw, engine)) => {
                    match shared.config.pacing {
                        Pacing::Fast => engine.run_fast(),
                        Pacing::Paced => engine.run_paced(),
                    }
                    raw
                }
                Err(error) => {
                    shared.stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            };
            for handle in [transmitters, receivers, raw] {
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(self.monitor().stats())
        })
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn uplink(&self) -> MutexGuard<'_, Uplink> {
        self.uplink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn downlink(&self) -> MutexGuard<'_, Downlink> {
        self.downlink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raw_queue(&self) -> Option<MutexGuard<'_, RawQueue>> {
        let (_, queue) = self.raw.as_ref()?;
        Some(queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait_uplink<'a>(&self, guard: MutexGuard<'a, Uplink>, timeout: Duration) -> MutexGuard<'a, Uplink> {
        let waited = self.uplink_changed.wait_timeout(guard, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn wait_downlink(&self, guard: MutexGuard<'_, Downlink>, timeout: Duration) {
        drop(self.downlink_changed.wait_timeout(guard, timeout));
    }

    /// Takes datagrams from a socket until the stop flag is raised.
    fn listen(
        &self,
        socket: &UdpSocket,
        hear: impl Fn(Option<&Datagram<'_>>, SocketAddr),
    ) -> Result<(), RadioError> {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        // One byte more than allowed, so that longer datagrams are not taken for shorter ones.
        let mut bytes = vec![0; MAX_DATAGRAM_BYTES + 1];
        while !self.stopped() {
            match socket.recv_from(&mut bytes) {
                Ok((length, from)) => {
                    add(&self.counters.datagrams_in, 1);
                    match parse(&bytes[..length]) {
                        Ok(datagram) => hear(Some(&datagram), from),
                        Err(_) => add(&self.counters.datagrams_junk, 1),
                    }
                }
                Err(error) if transient(&error) => hear(None, nobody),
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Takes datagrams without headers until the stop flag is raised.
    fn listen_raw(&self) -> Result<(), RadioError> {
        let Some((socket, _)) = &self.raw else { return Ok(()) };
        let mut bytes = vec![0; MAX_RAW_BYTES];
        while !self.stopped() {
            match socket.recv(&mut bytes) {
                Ok(length) => {
                    let Some(mut queue) = self.raw_queue() else { return Ok(()) };
                    let (samples, dropped) = queue.put(&bytes[..length]);
                    add(&self.counters.samples_raw_in, samples as u64);
                    add(&self.counters.samples_raw_dropped, dropped as u64);
                }
                Err(error) if transient(&error) => {}
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn hear_transmitter(&self, datagram: Option<&Datagram<'_>>, from: SocketAddr) {
        if let Some(datagram) = datagram {
            let outcome = self.uplink().handle(datagram, from, Instant::now());
            match outcome {
                Outcome::Fine => {}
                Outcome::Answer(answer) => answer_to(&self.transmitters, &answer, from),
                Outcome::Junk => add(&self.counters.datagrams_junk, 1),
            }
        }
        self.pass_turns();
        self.uplink_changed.notify_one();
    }

    /// Sends the grants to transmitters that became due.
    fn pass_turns(&self) {
        let due = {
            let mut uplink = self.uplink();
            let due = uplink.advance(Instant::now());
            let totals = uplink.totals;
            let set = |counter: &std::sync::atomic::AtomicU64, value| {
                counter.store(value, Ordering::Relaxed);
            };
            set(&self.counters.bursts, totals.bursts);
            set(&self.counters.bursts_given_up, totals.given_up);
            set(&self.counters.samples_in, totals.samples);
            set(&self.counters.samples_lost, totals.lost);
            due
        };
        for (to, credit) in due {
            answer_to(&self.transmitters, &credit, to);
        }
    }

    fn hear_receiver(&self, datagram: Option<&Datagram<'_>>, from: SocketAddr) {
        let Some(datagram) = datagram else { return };
        let time = self.counters.time_samples.load(Ordering::Relaxed);
        let (answer, useful) = self.downlink().handle(&datagram.header, from, Instant::now(), time);
        if !useful {
            add(&self.counters.datagrams_junk, 1);
        }
        if let Some(answer) = answer {
            answer_to(&self.receivers, &answer, from);
        }
        self.downlink_changed.notify_one();
    }
}

fn answer_to(socket: &UdpSocket, header: &Header, to: SocketAddr) {
    let mut bytes = Vec::new();
    write(header, &[], &mut bytes);
    // What is lost here is asked for again.
    let _ = socket.send_to(&bytes, to);
}
