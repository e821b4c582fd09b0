//! The three daemons, each started by hand, so that a test can kill one and start it again in the same place.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
};

use bytes::Bytes;
use semcast_common::{
    content::{Picture, file},
    control::{ControlClient, ControlConnection, ControlError, Identity, Peers},
    wire::{
        Arrived, ContentKind, ControlMessage, Failed, Hello, Role, SendOptions, SendReport, SendStage,
        Submit, SubmitKind, Watch,
    },
};
use tempfile::TempDir;

use super::{Daemon, program, psnr_db, run, within};

/// What a picture must at least be like when it has arrived.
const LEAST_PSNR_DB: f64 = 20.0;
/// What the receiver says when it has found the transmitter.
const LINKED: &str = "the transmitter is there";

/// A key made by `semcast keygen`.
pub struct Key {
    /// Path of the private key.
    pub file: String,
    /// Path of the certificate.
    pub certificate: String,
}

impl Key {
    /// Makes one.
    pub async fn make(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let mut command = program();
        command.arg("keygen").arg(&path);
        run(command).await.expect_code(0);
        let path = path.to_string_lossy();
        Self { file: format!("{path}.key"), certificate: format!("{path}.cert") }
    }

    /// Flags that name this key and those of peers.
    pub fn flags(&self, peers: &[&Key]) -> Vec<String> {
        let mut flags = vec!["--key".to_string(), self.file.clone()];
        flags.extend(peers.iter().flat_map(|peer| ["--peer".to_string(), peer.certificate.clone()]));
        flags
    }

    fn identity(&self) -> Identity {
        Identity::load(self.file.as_ref()).expect("a key")
    }
}

/// Where everybody is; stays the same when a process is started again.
struct Places {
    transmit: SocketAddr,
    receive: SocketAddr,
    control: SocketAddr,
    watch: SocketAddr,
}

/// What the daemons are told beside their addresses. `{transmit}` and `{receive}` stand for the air's ports.
#[derive(Clone, Default)]
pub struct Flags {
    pub air: Vec<String>,
    pub transmitter: Vec<String>,
    pub receiver: Vec<String>,
}

impl Flags {
    /// The air alone is told something; the others use it by UDP.
    pub fn of_air(air: &[&str]) -> Self {
        Self {
            air: air.iter().map(ToString::to_string).collect(),
            transmitter: ["--air", "{transmit}"].map(String::from).into(),
            receiver: ["--air", "{receive}"].map(String::from).into(),
        }
    }

    fn placed(flags: &[String], places: &Places) -> Vec<String> {
        let [transmit, receive] = [places.transmit, places.receive].map(|address| address.to_string());
        flags
            .iter()
            .map(|flag| flag.replace("{transmit}", &transmit).replace("{receive}", &receive))
            .collect()
    }
}

/// The daemons and a client of the receiver.
pub struct Trio {
    pub folder: TempDir,
    pub transmitter_key: Key,
    pub receiver_key: Key,
    pub client_key: Key,
    pub air: Daemon,
    pub transmitter: Daemon,
    pub receiver: Daemon,
    places: Places,
    flags: Flags,
    /// Hears what arrives.
    pub watcher: ControlConnection,
}

impl Trio {
    /// Starts them and waits until the link is up.
    pub async fn start(air_flags: &[&str]) -> Self {
        Self::start_with(Flags::of_air(air_flags)).await
    }

    /// The same, with flags for all three.
    pub async fn start_with(flags: Flags) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let transmitter_key = Key::make(folder.path(), "transmitter").await;
        let receiver_key = Key::make(folder.path(), "receiver").await;
        let client_key = Key::make(folder.path(), "client").await;
        let [transmit, receive, control, watch] = free_addresses();
        let places = Places { transmit, receive, control, watch };

        let air = start_air(&places, &flags).await;
        let transmitter =
            start_transmitter(&places, &flags, &transmitter_key, &[&receiver_key, &client_key]).await;
        let receiver = start_receiver(&places, &flags, &receiver_key, &[&transmitter_key, &client_key]).await;
        let watcher = watcher(places.watch, &client_key, &receiver_key).await;
        let mut trio = Self {
            folder,
            transmitter_key,
            receiver_key,
            client_key,
            air,
            transmitter,
            receiver,
            places,
            flags,
            watcher,
        };
        trio.wait_until_up().await;
        trio
    }

    /// Kills the air and starts it again.
    pub async fn restart_air(&mut self) {
        self.air.kill();
        self.start_air_again().await;
    }

    /// Starts the air that was killed.
    pub async fn start_air_again(&mut self) {
        self.air = start_air(&self.places, &self.flags).await;
    }

    /// Waits until the receiver hears the air, or no longer does.
    #[cfg(feature = "soapysdr")]
    pub async fn wait_until_hearing(&mut self, hearing: bool) {
        let watcher = &mut self.watcher;
        within("the receiver hears otherwise", async {
            loop {
                match watcher.receive().await.expect("the receiver stays").expect("news").message {
                    ControlMessage::Status(status) if status.hearing == hearing => return,
                    _ => {}
                }
            }
        })
        .await;
    }

    /// Kills the transmitter and starts it again; waits until the receiver has found it.
    pub async fn restart_transmitter(&mut self) {
        self.transmitter.kill();
        let peers = [&self.receiver_key, &self.client_key];
        self.transmitter = start_transmitter(&self.places, &self.flags, &self.transmitter_key, &peers).await;
        let watcher = &mut self.watcher;
        within("the receiver finds the transmitter", async {
            loop {
                match watcher.receive().await.expect("the receiver stays").expect("news").message {
                    ControlMessage::Event(event) if event.text == LINKED => return,
                    _ => {}
                }
            }
        })
        .await;
    }

    /// Kills the receiver and starts it again; waits until the link is up.
    pub async fn restart_receiver(&mut self) {
        self.receiver.kill();
        let peers = [&self.transmitter_key, &self.client_key];
        self.receiver = start_receiver(&self.places, &self.flags, &self.receiver_key, &peers).await;
        self.watcher = watcher(self.places.watch, &self.client_key, &self.receiver_key).await;
        self.wait_until_up().await;
    }

    /// Starts one more receiver, which talks to nobody.
    pub async fn one_way_receiver(&self, key: &Key) -> Daemon {
        self.one_way_receiver_with(key, &[]).await
    }

    /// The same, with more flags.
    pub async fn one_way_receiver_with(&self, key: &Key, more: &[(&str, String)]) -> Daemon {
        let mut flags = key.flags(&[&self.client_key]);
        flags.extend(more.iter().flat_map(|(flag, value)| [flag.to_string(), value.clone()]));
        for (flag, value) in
            [("--air", self.places.receive.to_string()), ("--watch-listen", "127.0.0.1:0".into())]
        {
            flags.extend([flag.to_string(), value]);
        }
        flags.extend(["--device", "cpu", "--no-feedback"].map(String::from));
        Daemon::start("receiver", &flags).await
    }

    /// Where the transmitter takes receivers and `send` clients.
    pub fn control_address(&self) -> SocketAddr {
        self.places.control
    }

    /// Checks that all three still run.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        self.air.expect_alive();
        self.transmitter.expect_alive();
        self.receiver.expect_alive();
    }

    /// Submits content to the transmitter, over another address if one is given.
    pub async fn submit(
        &self,
        kind: SubmitKind,
        body: impl Into<Bytes>,
        options: SendOptions,
        by_way_of: Option<SocketAddr>,
    ) -> Submission {
        let peers = Peers::from_arguments([&self.transmitter_key.certificate]).expect("a certificate");
        let address = by_way_of.unwrap_or(self.places.control).to_string();
        let hello = Hello::new(Role::SendClient, "test");
        let client =
            ControlClient::new(address, &self.client_key.identity(), &peers, hello).expect("a client");
        let connection = client.connect().await.expect("the transmitter takes a client");
        let body = body.into();
        let submit = Submit { kind, options, length: body.len() as u64 };
        connection.send_with_body(&ControlMessage::Submit(submit), body).await.expect("a submission");
        Submission { connection }
    }

    /// Sends a text that takes a while, and returns in the middle of it.
    pub async fn submit_for_long(&self) -> Submission {
        let options = SendOptions { mcs: Some(0), max_resends: Some(0), ..SendOptions::default() };
        let mut submission = self.submit(SubmitKind::Text, super::letters(12_000), options, None).await;
        submission.reach(SendStage::Send, 0.3).await;
        submission
    }

    /// Sends a picture and checks that it arrives.
    pub async fn transfer(&mut self, picture: &Picture, options: SendOptions) -> Arrived {
        self.transfer_by_way_of(picture, options, None).await
    }

    /// Sends a picture and returns it as it arrived.
    #[cfg(feature = "soapysdr")]
    pub async fn received(&mut self, picture: &Picture, options: SendOptions) -> Picture {
        self.transfer_whole(picture, options, None).await.1
    }

    /// The same, through another address.
    pub async fn transfer_by_way_of(
        &mut self,
        picture: &Picture,
        options: SendOptions,
        by_way_of: Option<SocketAddr>,
    ) -> Arrived {
        self.transfer_whole(picture, options, by_way_of).await.0
    }

    async fn transfer_whole(
        &mut self,
        picture: &Picture,
        options: SendOptions,
        by_way_of: Option<SocketAddr>,
    ) -> (Arrived, Picture) {
        let bytes = file::encode_png(picture).expect("a picture file");
        let mut submission = self.submit(SubmitKind::PictureFile, bytes, options, by_way_of).await;
        let report = submission.outcome().await.expect("a connection").expect("a report");
        let wanted = (report.transmitter.session, report.transmitter.message_id);
        let watcher = &mut self.watcher;
        let (arrived, content) = within("the picture arrives", async {
            loop {
                let news = watcher.receive().await.expect("the receiver stays").expect("news");
                if let ControlMessage::Arrived(arrived) = news.message
                    && (arrived.part.session, arrived.message_id) == wanted
                    && !arrived.intermediate
                {
                    return (arrived, news.body);
                }
            }
        })
        .await;
        let ContentKind::Picture { width, height } = arrived.content else { panic!("{:?}", arrived.content) };
        let received = Picture::new(width, height, content.into()).expect("a picture");
        let psnr_db = psnr_db(picture, &received);
        assert!(psnr_db >= LEAST_PSNR_DB, "{psnr_db} dB");
        (arrived, received)
    }

    async fn wait_until_up(&mut self) {
        let watcher = &mut self.watcher;
        within("the link comes up", async {
            loop {
                match watcher.receive().await.expect("the receiver stays").expect("news").message {
                    ControlMessage::Status(status) if status.hearing && status.linked => return,
                    _ => {}
                }
            }
        })
        .await;
    }
}

/// Something on its way.
pub struct Submission {
    connection: ControlConnection,
}

impl Submission {
    /// Waits until it is so far.
    pub async fn reach(&mut self, stage: SendStage, fraction: f32) {
        within("progress", async {
            loop {
                match self.connection.receive().await.expect("a connection").expect("news").message {
                    ControlMessage::Progress(now) if now.stage == stage && now.fraction >= fraction => return,
                    ControlMessage::Progress(_) => {}
                    other => panic!("{other:?} before {stage} was at {fraction}"),
                }
            }
        })
        .await;
    }

    /// Waits until it was sent or has failed. An error if the transmitter has gone.
    pub async fn outcome(&mut self) -> Result<Result<SendReport, Failed>, ControlError> {
        within("a report", async {
            loop {
                match self.connection.receive().await?.ok_or(ControlError::Closed)?.message {
                    ControlMessage::SendReport(report) => return Ok(Ok(*report)),
                    ControlMessage::Failed(failed) => return Ok(Err(failed)),
                    _ => {}
                }
            }
        })
        .await
    }
}

async fn start_air(places: &Places, flags: &Flags) -> Daemon {
    let (transmit, receive) = (places.transmit.to_string(), places.receive.to_string());
    let mut arguments = vec!["--transmit-addr".into(), transmit, "--receive-addr".into(), receive];
    arguments.extend_from_slice(&flags.air);
    Daemon::start("air", &arguments).await
}

async fn start_transmitter(places: &Places, flags: &Flags, key: &Key, peers: &[&Key]) -> Daemon {
    let mut arguments = key.flags(peers);
    arguments.extend(["--listen".to_string(), places.control.to_string()]);
    arguments.extend(Flags::placed(&flags.transmitter, places));
    arguments.extend(["--device", "cpu"].map(String::from));
    Daemon::start("transmitter", &arguments).await
}

async fn start_receiver(places: &Places, flags: &Flags, key: &Key, peers: &[&Key]) -> Daemon {
    let mut arguments = key.flags(peers);
    for (flag, value) in [("--connect", places.control), ("--watch-listen", places.watch)] {
        arguments.extend([flag.to_string(), value.to_string()]);
    }
    arguments.extend(Flags::placed(&flags.receiver, places));
    arguments.extend(["--device", "cpu"].map(String::from));
    Daemon::start("receiver", &arguments).await
}

async fn watcher(address: SocketAddr, key: &Key, receiver: &Key) -> ControlConnection {
    let peers = Peers::from_arguments([&receiver.certificate]).expect("a certificate");
    let hello = Hello::new(Role::WatchClient, "test");
    let client = ControlClient::new(address.to_string(), &key.identity(), &peers, hello).expect("a client");
    let connection = client.connect().await.expect("the receiver takes a client");
    connection.send(&ControlMessage::Watch(Watch { content: true })).await.expect("a wish");
    connection
}

/// Addresses that were free a moment ago.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    // All held at once, so that no two are the same.
    let sockets: [UdpSocket; N] =
        std::array::from_fn(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("an address"))
}
