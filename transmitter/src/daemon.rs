//! The daemon: starts the worker, and serves receivers and `send` clients over the control link.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use semcast_common::{
    clock,
    config::Allocation,
    control::{ControlConnection, ControlError, ControlServer, Identity, Peers},
    message::SystemId,
    wire::{ClockReply, ControlMessage, Hello, ModeChoice, NumerologyId, Role},
};
use semcast_models::{DeviceChoice, ModelError, System, SystemOptions};
use semcast_phy::{
    numerology::Numerology,
    radio::{
        RadioError,
        open::{Radio, recording_sink},
        sigmf::RecordConfig,
    },
    transmit::Modulator,
};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::{
    jobs::{self, Job, MAX_WAITING},
    metrics::Metrics,
    receipts::Feedback,
    receivers::Receivers,
    worker::{Worker, WorkerSettings},
};

/// Messages from receivers that may wait for the worker; more are dropped, and said again by receivers.
const MAX_FEEDBACK: usize = 256;

/// A receiver that has connected is asked for its time so often at first,
const FIRST_PROBES: u32 = 8;
/// at this interval,
const FIRST_PROBE_INTERVAL: Duration = Duration::from_millis(50);
/// and from then on at this one: as often as QUIC would say that it is alive.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What a transmitter needs.
pub struct Settings {
    /// Name that the other ends see.
    pub name: String,
    /// What samples leave through.
    pub radio: Radio,
    /// Where bursts are recorded; `None` records nothing.
    pub record: Option<RecordConfig>,
    /// The OFDM grid.
    pub numerology: Numerology,
    /// Where receivers and `send` clients connect.
    pub control: SocketAddr,
    /// This end's key.
    pub identity: Identity,
    /// Keys that may connect.
    pub peers: Peers,
    /// Whether receivers may connect; without them the link works one way.
    pub feedback: bool,
    /// System for submissions that name none.
    pub system: SystemId,
    /// Net channel bandwidth ratio for submissions that name none.
    pub cbr: f64,
    /// SNR to prepare messages for, in dB, instead of what receivers report.
    pub design_snr_db: Option<f64>,
    /// How resource blocks are given to the features of a message.
    pub allocation: Allocation,
    /// Peaks of frames are lowered towards so many dB above the mean power; `None`: left as they are.
    pub peak_limit_db: Option<f64>,
    /// How robust frames are, for submissions that do not say.
    pub frames: ModeChoice,
    /// Rounds of resending for submissions that name none.
    pub max_resends: u8,
    /// What was chosen of the systems.
    pub options: SystemOptions,
    /// Where encoders run.
    pub device: DeviceChoice,
    /// What is counted.
    pub metrics: Metrics,
    /// Number of this transmitter in its frames; drawn if not given, so that a restart is noticed.
    pub number: Option<u16>,
}

/// Why a transmitter cannot start or go on.
#[derive(Debug, Error)]
pub enum TransmitterError {
    /// The control link.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The radio.
    #[error(transparent)]
    Radio(#[from] RadioError),
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The worker ended, which it never should before the daemon does.
    #[error("the worker thread died; its log tells why")]
    Worker,
}

/// The same number for every process with the same key, so that one that was restarted takes the place of
/// its predecessor in the air at once.
fn stream(identity: &Identity) -> u32 {
    let [a, b, c, d, ..] = identity.fingerprint().0;
    u32::from_le_bytes([a, b, c, d]) | 1
}

/// Runs a transmitter until `stop` resolves. `ready` is called with the address of the control link once
/// submissions are taken.
pub async fn run(
    settings: Settings,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), TransmitterError> {
    let device = semcast_models::open_device(settings.device)?;
    tracing::info!(device = device.description, fallback = device.fallback, "encoders run here");
    let systems = SystemId::ALL
        .into_iter()
        .map(|id| semcast_models::system(id, &device, &settings.options))
        .collect::<Result<Vec<Box<dyn System>>, _>>()?;
    let stopping = Arc::new(AtomicBool::new(false));
    let rate = settings.numerology.sample_rate_hz;
    let radio = settings.radio.sink(rate, stream(&settings.identity), stopping.clone())?;
    let radio = recording_sink(radio, settings.record.as_ref())?;

    let hello = Hello::new(Role::Transmitter, settings.name)
        .with_systems(systems.iter().map(|system| (system.id(), system.model())))
        .with_numerology(NumerologyId::new(
            settings.numerology.sample_rate_hz,
            settings.numerology.fft_size,
            settings.numerology.cyclic_prefix,
            settings.numerology.resource_blocks,
        ));
    let mut server = ControlServer::bind(settings.control, &settings.identity, &settings.peers, hello)?;
    let address = server.local_address()?;

    let receivers = Arc::new(Receivers::default());
    let (feedback, feedback_queue) = sync_channel(MAX_FEEDBACK);
    let (jobs, job_queue) = mpsc::channel(MAX_WAITING);
    let mut modulator = Modulator::new(settings.numerology);
    modulator.limit_peaks(settings.peak_limit_db.map(|limit_db| limit_db as f32));
    let worker = Worker::new(
        WorkerSettings {
            system: settings.system,
            cbr: settings.cbr,
            design_snr_db: settings.design_snr_db,
            frames: settings.frames,
            allocation: settings.allocation,
            resource_blocks: settings.numerology.resource_blocks,
            max_resends: settings.max_resends,
            sample_rate_hz: settings.numerology.sample_rate_hz,
            transmitter: settings.number.unwrap_or_else(rand::random),
            metrics: settings.metrics.clone(),
        },
        systems,
        device,
        modulator,
        radio,
        receivers.clone(),
        feedback_queue,
    );
    let (worker_ended, mut worker_end) = mpsc::channel::<()>(1);
    let worker_stop = stopping.clone();
    let thread = std::thread::Builder::new()
        .name("transmit".into())
        .spawn(move || {
            // Dropped when the worker returns, and when it panics.
            let _ended = worker_ended;
            worker.run(job_queue, &worker_stop);
        })
        .map_err(TransmitterError::Thread)?;
    ready(address);

    let mut stop = std::pin::pin!(stop);
    let result = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            _ = worker_end.recv() => break Err(TransmitterError::Worker),
            connection = server.accept() => match connection {
                None => break Ok(()),
                Some(connection) => {
                    let receivers = settings.feedback.then(|| receivers.clone());
                    let metrics = settings.metrics.clone();
                    tokio::spawn(serve(connection, jobs.clone(), receivers, feedback.clone(), metrics));
                }
            },
        }
    };
    stopping.store(true, Ordering::Relaxed);
    drop(jobs);
    server.stop().await;
    if result.is_ok() {
        // The worker may be in the middle of a message: the stop flag ends its waiting on the radio.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
    result
}

async fn serve(
    connection: ControlConnection,
    jobs: mpsc::Sender<Job>,
    receivers: Option<Arc<Receivers>>,
    feedback: SyncSender<(u64, Feedback)>,
    metrics: Metrics,
) {
    let peer = connection.peer().to_string();
    let result = match (connection.peer().hello.role, receivers) {
        (Role::SendClient, _) => jobs::serve(connection, jobs).await,
        (Role::Receiver, Some(receivers)) => {
            metrics.receiver_came();
            let key = connection.peer().fingerprint.to_string();
            let heard = hear(connection, &receivers, &feedback, &metrics).await;
            metrics.receiver_left(&key);
            heard
        }
        (role, _) => {
            tracing::info!(peer, %role, "control link: not served here (without feedback, no receivers are)");
            Ok(())
        }
    };
    match result {
        Ok(()) => tracing::info!(peer, "control link: closed"),
        Err(error) => tracing::warn!(peer, %error, "control link: lost"),
    }
}

/// Hears one receiver until it goes.
async fn hear(
    mut connection: ControlConnection,
    receivers: &Receivers,
    feedback: &SyncSender<(u64, Feedback)>,
    metrics: &Metrics,
) -> Result<(), ControlError> {
    let peer = connection.peer();
    let key = peer.fingerprint.to_string();
    let session = peer.session;
    receivers.add(session, peer.hello.name.clone(), connection.sender(), peer.hello.systems.clone());
    let sender = connection.sender();
    let mut probes = 0;
    let mut probing = tokio::time::interval(FIRST_PROBE_INTERVAL);
    probing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let result = loop {
        let received = tokio::select! {
            received = connection.receive() => received,
            _ = probing.tick() => {
                let sent_unix_us = clock::unix_us();
                receivers.probe(session, sent_unix_us, Instant::now());
                // One that finds no room is followed by the next.
                let _ = sender.try_send(&ControlMessage::ClockProbe { sent_unix_us });
                probes += 1;
                if probes == FIRST_PROBES {
                    probing = tokio::time::interval_at(tokio::time::Instant::now() + PROBE_INTERVAL, PROBE_INTERVAL);
                    probing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                }
                continue;
            }
        };
        let received_unix_us = clock::unix_us();
        let news = match received {
            Ok(Some(received)) => match received.message {
                ControlMessage::ClockReply(reply) => {
                    let now = Instant::now();
                    receivers.clock_reply(session, &reply, now);
                    if let Some(clock) = receivers.clock_offset(session, now, now) {
                        metrics.clock(&key, clock);
                    }
                    continue;
                }
                ControlMessage::ClockProbe { sent_unix_us } => {
                    let reply = ClockReply::now(sent_unix_us, received_unix_us);
                    let _ = sender.try_send(&ControlMessage::ClockReply(reply));
                    continue;
                }
                ControlMessage::ChannelState(state) => {
                    receivers.report(session, state);
                    Feedback::Channel
                }
                ControlMessage::Receipt(receipt) => Feedback::Receipt(receipt),
                ControlMessage::Decoded(decoded) => Feedback::Decoded(Box::new(decoded)),
                ControlMessage::Undecodable(undecodable) => Feedback::Undecodable(undecodable),
                _ => continue,
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        // A full queue means that the worker is not listening: it forgets old news anyway.
        let _ = feedback.try_send((session, news));
    };
    receivers.remove(session);
    let _ = feedback.try_send((session, Feedback::Gone));
    result
}
