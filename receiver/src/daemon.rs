//! The daemon: radio and decoder threads, the control link to the transmitter, and `watch` clients.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use semcast_common::{
    clock::unix_us,
    content::Content,
    control::{
        ControlClient, ControlConnection, ControlError, ControlSender, ControlServer, Identity, Peers,
    },
    message::SystemId,
    wire::{
        Arrived, ChannelState, ClockReply, ContentKind, ControlMessage, Decoded, EventLevel, Hello,
        NumerologyId, ReceiverPart, ReceiverTimings, Role, Status, Undecodable,
    },
};
use semcast_models::{DeviceChoice, ModelError, System, SystemOptions};
use semcast_phy::{
    numerology::Numerology,
    radio::{
        RadioError,
        open::{Radio, recording_source},
        sigmf::RecordConfig,
    },
    receive::Demodulator,
};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc};

use crate::{
    decoder::{self, Finished, Work},
    listener::{self, Activity, HeardFrame},
    metrics::Metrics,
    outputs::{self, MAX_NEWS, News, event},
    reception::{Action, Reception},
};

/// Frames that may wait for assembly; then the radio waits.
const MAX_FRAMES: usize = 64;
/// Messages of the transmitter that may wait.
const MAX_HEARD: usize = 64;
/// A radio that hears nothing for so long after the start is told of.
const DEAF: Duration = Duration::from_secs(5);
/// How often waiting messages are looked at.
const TICK: Duration = Duration::from_millis(50);

/// The control link to a transmitter.
pub struct Link {
    /// Address of the transmitter, HOST:PORT.
    pub transmitter: String,
}

/// What a receiver needs.
pub struct Settings {
    /// Name that the other ends see.
    pub name: String,
    /// What samples come from. When they come from a recording, the receiver ends when it has decoded all of it.
    pub radio: Radio,
    /// Where samples are recorded; `None` records nothing.
    pub record: Option<RecordConfig>,
    /// The OFDM grid.
    pub numerology: Numerology,
    /// The control link; without it the link works one way.
    pub link: Option<Link>,
    /// Where `watch` clients connect.
    pub watch: SocketAddr,
    /// This end's key.
    pub identity: Identity,
    /// Keys of transmitters and of `watch` clients.
    pub peers: Peers,
    /// Folder for what arrives; `None` keeps nothing.
    pub output: Option<PathBuf>,
    /// Which systems there are, and over what.
    pub options: SystemOptions,
    /// Where decoders run.
    pub device: DeviceChoice,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why a receiver cannot start or go on.
#[derive(Debug, Error)]
pub enum ReceiverError {
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
    /// A thread ended, which it never should before the daemon does.
    #[error("the {0} thread died; its log tells why")]
    Died(&'static str),
}

enum FromTransmitter {
    Connected(ControlSender),
    Said(Box<ControlMessage>),
    Lost,
}

/// What a receiver has done when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Frames that were heard.
    pub frames: u64,
    /// Messages that were decoded.
    pub messages: u64,
}

/// Runs a receiver until `stop` resolves, or a recording has ended. `ready` is called with the address for `watch` clients.
pub async fn run(
    settings: Settings,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<Received, ReceiverError> {
    let device = semcast_models::open_device(settings.device)?;
    tracing::info!(device = device.description, fallback = device.fallback, "decoders run here");
    let systems = SystemId::ALL
        .into_iter()
        .map(|id| semcast_models::system(id, &device, &settings.options))
        .collect::<Result<Vec<Box<dyn System>>, _>>()?;
    let hello = Hello::new(Role::Receiver, settings.name)
        .with_systems(systems.iter().map(|system| (system.id(), system.model())))
        .with_numerology(NumerologyId::new(
            settings.numerology.sample_rate_hz,
            settings.numerology.fft_size,
            settings.numerology.cyclic_prefix,
            settings.numerology.resource_blocks,
        ));
    let mut watchers =
        ControlServer::bind(settings.watch, &settings.identity, &settings.peers, hello.clone())?;
    let watch_address = watchers.local_address()?;
    let stopping = Arc::new(AtomicBool::new(false));

    let radio = settings.radio.source(settings.numerology.sample_rate_hz)?;
    let radio = recording_source(radio, settings.record.as_ref())?;
    let is_recording = matches!(settings.radio, Radio::Sigmf(_));
    let demodulator = Demodulator::new(settings.numerology);
    let activity = Activity::default();
    let (frames, mut heard_frames) = mpsc::channel::<HeardFrame>(MAX_FRAMES);
    let (noted, counted, stop_listening) = (activity.clone(), settings.metrics.clone(), stopping.clone());
    let listener = spawn("listen", move || {
        listener::listen(radio, demodulator, &frames, &noted, &counted, &stop_listening);
    })?;

    let (work, queue) = mpsc::channel::<Work>(decoder::MAX_WAITING);
    let (finish, mut finished) = mpsc::channel::<Finished>(decoder::MAX_WAITING);
    spawn("decode", move || decoder::run(systems, queue, &finish))?;

    let (told, mut transmitter) = mpsc::channel(MAX_HEARD);
    // Kept so that without a control link the queue stays open and silent.
    let keep_open = told.clone();
    if let Some(link) = &settings.link {
        let client = ControlClient::new(&link.transmitter, &settings.identity, &settings.peers, hello)?;
        tokio::spawn(keep_link(client, told));
    }
    let (news, _) = broadcast::channel(MAX_NEWS);
    let mut daemon = Daemon {
        reception: Reception::default(),
        link: None,
        news: news.clone(),
        work,
        output: settings.output,
        device: device.description,
        frames: 0,
        messages: 0,
        decoding: 0,
        status: Status::default(),
        metrics: settings.metrics,
        deaf_since: Some(Instant::now()),
    };
    ready(watch_address);

    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut stop = std::pin::pin!(stop);
    let result = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            // A recording waits for the decoder, a radio does not.
            heard = heard_frames.recv(), if !is_recording || daemon.work.capacity() > 1 => match heard {
                Some(heard) => daemon.frame(&heard).await,
                None => break Err(ReceiverError::Died("listener")),
            },
            said = transmitter.recv() => if let Some(said) = said {
                daemon.transmitter(said).await;
            },
            done = finished.recv() => match done {
                Some(done) => daemon.finished(done).await,
                None => break Err(ReceiverError::Died("decoder")),
            },
            _ = ticks.tick() => {
                let linked = daemon.link.is_some();
                let actions = daemon.reception.tick(Instant::now(), activity.last(), linked);
                daemon.act(actions).await;
                daemon.stand(activity.hearing());
                let all_heard = activity.has_ended() && heard_frames.is_empty();
                if all_heard && daemon.reception.is_idle() && daemon.decoding == 0 {
                    break Ok(());
                }
            }
            watcher = watchers.accept() => match watcher {
                Some(connection) => {
                    tokio::spawn(watch(connection, news.subscribe(), daemon.status));
                }
                None => break Ok(()),
            },
        }
    };
    stopping.store(true, Ordering::Relaxed);
    drop(heard_frames);
    drop(keep_open);
    watchers.stop().await;
    if result.is_ok() {
        // The listener looks at the flag after every wait for samples.
        let _ = tokio::task::spawn_blocking(move || listener.join()).await;
    }
    result.map(|()| Received { frames: daemon.frames, messages: daemon.messages })
}

fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, ReceiverError> {
    std::thread::Builder::new().name(name.into()).spawn(body).map_err(ReceiverError::Thread)
}

/// Keeps the link to the transmitter up, and passes on what it says.
async fn keep_link(mut client: ControlClient, told: mpsc::Sender<FromTransmitter>) {
    loop {
        let mut connection = client.connect_forever().await;
        if told.send(FromTransmitter::Connected(connection.sender())).await.is_err() {
            return;
        }
        loop {
            match connection.receive().await {
                Ok(Some(received)) => {
                    if let ControlMessage::ClockProbe { sent_unix_us } = received.message {
                        // Answered here and not by the daemon, which may be busy. One that finds no room is asked again.
                        let reply = ClockReply::now(sent_unix_us, unix_us());
                        let _ = connection.sender().try_send(&ControlMessage::ClockReply(reply));
                        continue;
                    }
                    if told.send(FromTransmitter::Said(Box::new(received.message))).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "control link: lost");
                    break;
                }
            }
        }
        if told.send(FromTransmitter::Lost).await.is_err() {
            return;
        }
    }
}

async fn watch(connection: ControlConnection, news: broadcast::Receiver<News>, status: Status) {
    let peer = connection.peer().to_string();
    match outputs::serve(connection, news, status).await {
        Ok(()) => tracing::info!(peer, "watch client: closed"),
        Err(error) => tracing::warn!(peer, %error, "watch client: lost"),
    }
}

struct Daemon {
    reception: Reception,
    link: Option<ControlSender>,
    news: broadcast::Sender<News>,
    work: mpsc::Sender<Work>,
    output: Option<PathBuf>,
    device: String,
    frames: u64,
    /// Messages that were decoded.
    messages: u64,
    /// Pieces of work that the decoder has.
    decoding: usize,
    status: Status,
    metrics: Metrics,
    /// Since when nothing is heard, until that is told.
    deaf_since: Option<Instant>,
}

impl Daemon {
    /// Tells whoever watches when the receiver stands otherwise than before.
    fn stand(&mut self, hearing: bool) {
        let status = Status { hearing, linked: self.link.is_some() };
        if hearing {
            self.deaf_since = None;
        } else if self.deaf_since.is_some_and(|since| since.elapsed() >= DEAF) {
            self.deaf_since = None;
            tracing::warn!(
                "nothing is heard: does `semcast air` run, is its address for receivers right, and does a firewall let UDP through?"
            );
        }
        if status != self.status {
            match (self.status.hearing, hearing) {
                (false, true) => tracing::info!("the radio hears"),
                (true, false) => tracing::warn!("the radio no longer hears: the air or the device is gone"),
                _ => {}
            }
            self.status = status;
            self.metrics.status(status);
            self.tell(News::Status(status));
        }
    }

    async fn frame(&mut self, heard: &HeardFrame) {
        self.frames += 1;
        let channel = &heard.frame.channel;
        self.metrics.frame(channel);
        tracing::debug!(
            number = heard.frame.header.number,
            snr_db = channel.snr_db,
            cfo_hz = channel.cfo_hz,
            clock_offset_ppm = channel.clock_offset_ppm,
            "frame"
        );
        if let Some(link) = &self.link {
            let state =
                ChannelState::new(self.frames, &channel.snr_db_per_rb, channel.snr_db, channel.cfo_hz as f32);
            // A report that finds no room is followed by the next frame's.
            let _ = link.try_send(&ControlMessage::ChannelState(state));
        }
        match self.reception.frame(heard, Instant::now()) {
            Ok(actions) => self.act(actions).await,
            Err(error) => {
                tracing::warn!(error, "a frame that belongs to no message of this version");
                self.tell(event(EventLevel::Warning, error));
            }
        }
    }

    async fn transmitter(&mut self, said: FromTransmitter) {
        match said {
            FromTransmitter::Connected(sender) => {
                self.link = Some(sender);
                self.tell(event(EventLevel::Info, "the transmitter is there"));
            }
            FromTransmitter::Lost => {
                self.link = None;
                self.tell(event(EventLevel::Warning, "the transmitter is gone"));
            }
            FromTransmitter::Said(message) => match *message {
                ControlMessage::Sent(sent) => {
                    let actions = self.reception.sent(sent, Instant::now());
                    self.act(actions).await;
                }
                ControlMessage::Announced(announced) if announced.refined => {
                    self.reception.announced_refined(announced.session as u16, announced.message_id);
                }
                ControlMessage::Abandoned { message_id, session } => {
                    self.reception.abandoned(session as u16, message_id);
                }
                _ => {}
            },
        }
    }

    async fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Decode(work) => self.decode(work).await,
                Action::Receipt(receipt) => self.say(&ControlMessage::Receipt(receipt)).await,
                Action::Lost(undecodable) => self.undecodable(undecodable).await,
            }
        }
    }

    /// Hands a message to the decoder. Waiting for room here could wait for ever: the decoder may in turn
    /// wait for this task to take what it has finished.
    async fn decode(&mut self, work: Work) {
        let key = work.0.key;
        if work.0.intermediate {
            // Worth a look if the decoder has nothing else to do; better follows.
            if self.work.capacity() == self.work.max_capacity() {
                self.decoding += usize::from(self.work.try_send(work).is_ok());
            }
            return;
        }
        self.decoding += 1;
        if let Err(error) = self.work.try_send(work) {
            self.decoding -= 1;
            let reason = format!("the decoder is behind by {} messages ({error})", decoder::MAX_WAITING);
            self.undecodable(Undecodable::new(key.message, u32::from(key.transmitter), reason)).await;
        }
    }

    async fn undecodable(&mut self, undecodable: Undecodable) {
        tracing::warn!(message_id = undecodable.message_id, reason = undecodable.reason, "message lost");
        self.metrics.lost();
        let text = format!("message {} is lost: {}", undecodable.message_id, undecodable.reason);
        self.tell(event(EventLevel::Warning, text));
        self.say(&ControlMessage::Undecodable(undecodable)).await;
    }

    async fn finished(&mut self, done: Finished) {
        self.decoding = self.decoding.saturating_sub(1);
        let summary = &done.summary;
        let key = done.key();
        let (content, confidence) = match done.result {
            Ok(result) => result,
            Err(reason) if summary.intermediate => {
                tracing::debug!(message_id = key.message, reason, "nothing to see yet");
                return;
            }
            Err(reason) => {
                let lost = Undecodable::new(key.message, u32::from(key.transmitter), reason);
                return self.undecodable(lost).await;
            }
        };
        let part = ReceiverPart {
            message_id: key.message,
            session: u32::from(key.transmitter),
            system: done.system,
            confidence,
            snr_db_estimated: summary.snr_db,
            cfo_hz_estimated: summary.cfo_hz,
            frames_received: summary.frames,
            segments_combined: summary.segments_combined,
            arrived: summary.arrived,
            missing: summary.missing,
            device: self.device.clone(),
            timings: ReceiverTimings {
                demodulate_ms: summary.demodulate.as_secs_f32() * 1e3,
                decode_ms: done.decode.as_secs_f32() * 1e3,
                first_sample_unix_us: summary.first_sample_unix_us,
                last_sample_unix_us: summary.last_sample_unix_us,
                demodulated_unix_us: summary.demodulated_unix_us,
                decoded_unix_us: done.done_unix_us,
            },
        };
        tracing::info!(
            message_id = key.message,
            system = %done.system,
            snr_db = summary.snr_db,
            frames = summary.frames,
            combined = summary.segments_combined,
            missing = summary.missing,
            confidence,
            intermediate = summary.intermediate,
            "message received"
        );
        if !summary.intermediate {
            self.metrics.decoded(&part);
            self.messages += 1;
            self.say(&ControlMessage::Decoded(Decoded {
                message_id: key.message,
                session: u32::from(key.transmitter),
                part: part.clone(),
            }))
            .await;
            self.save(key, &content).await;
        }
        let bytes = outputs::raw(&content);
        let arrived = Arrived {
            message_id: key.message,
            content: ContentKind::of(&content),
            part,
            intermediate: summary.intermediate,
            length: bytes.len() as u64,
        };
        self.tell(News::Arrived(Box::new(arrived), bytes));
    }

    async fn save(&self, key: crate::reception::MessageKey, content: &Content) {
        let Some(folder) = self.output.clone() else { return };
        let content = content.clone();
        let saved = tokio::task::spawn_blocking(move || outputs::save(&folder, key, &content)).await;
        match saved {
            Ok(Ok(path)) => tracing::info!(path = %path.display(), "saved"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot save what arrived"),
            Err(error) => tracing::warn!(%error, "cannot save what arrived"),
        }
    }

    async fn say(&self, message: &ControlMessage) {
        if let Some(link) = &self.link
            && let Err(error) = link.send(message).await
        {
            tracing::debug!(%error, message = message.name(), "not said");
        }
    }

    fn tell(&self, news: News) {
        // Without watch clients nobody hears it.
        let _ = self.news.send(news);
    }
}
