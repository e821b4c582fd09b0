//! The receiving radio: datagrams → an endless stream of samples, with grants for more.
//!
//! A helper thread says hello at [`HELLO_INTERVAL`] for as long as the radio exists, so that the air
//! can tell a receiver that is busy decoding from one that is gone.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::socket::{Bound, bind, local_address_for, session, transient};
use super::{ASK_INTERVAL, HELLO_INTERVAL};
use crate::radio::datagram::{Header, Kind, MAX_DATAGRAM_BYTES, SampleFormat, flags, parse, write};
use crate::radio::{RadioError, RadioSource, Received};

/// An air that was not heard for so long is gone: an idle one answers every sixteenth hello, and two of those may be lost.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// How to reach the air.
#[derive(Debug, Clone)]
pub struct UdpSourceConfig {
    /// The air's port for receivers.
    pub air: SocketAddr,
    /// Must be the air's own.
    pub sample_rate_hz: f64,
    /// A number of its own for this receiver, zero for none.
    pub stream: u32,
    /// How long a call waits for samples. Default 100 ms.
    pub timeout: Duration,
}

impl UdpSourceConfig {
    /// The defaults, for an air at this address.
    pub fn new(air: SocketAddr, sample_rate_hz: f64) -> Self {
        Self { air, sample_rate_hz, stream: 0, timeout: Duration::from_millis(100) }
    }
}

/// Where the stream stands; shared with the helper thread.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    air_session: u32,
    expected: u64,
    limit: u64,
}

/// The socket and what goes out on it.
#[derive(Debug)]
struct Voice {
    socket: UdpSocket,
    stream: u32,
    session: u32,
    sample_rate_hz: f64,
    position: Mutex<Position>,
    stop: AtomicBool,
}

impl Voice {
    fn position(&self) -> Position {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, kind: Kind) {
        let position = self.position();
        let header = Header {
            kind,
            flags: 0,
            format: SampleFormat::Cf32,
            stream: self.stream,
            session: self.session,
            peer_session: position.air_session,
            count: 0,
            first_sample: position.expected,
            limit: position.limit,
            sample_rate_hz: self.sample_rate_hz,
        };
        let mut bytes = Vec::new();
        write(&header, &[], &mut bytes);
        // What is lost here is said again with the next hello.
        let _ = self.socket.send(&bytes);
    }

    fn keep_saying_hello(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.say(Kind::Hello);
            std::thread::park_timeout(HELLO_INTERVAL);
        }
    }
}

/// A receiving radio.
#[derive(Debug)]
pub struct UdpSource {
    config: UdpSourceConfig,
    voice: Arc<Voice>,
    helper: Option<JoinHandle<()>>,
    window: u64,
    established: bool,
    /// When the air was last heard.
    heard: Instant,
    /// The first sample of the stream is known, so that a gap means loss.
    flowing: bool,
    restarted: bool,
    lost: u64,
    /// Came while waiting to be taken in.
    early: Option<(Received, Vec<Complex32>)>,
    incoming: Vec<u8>,
}

impl UdpSource {
    /// Opens a socket and begins to say hello. The air need not be there yet.
    ///
    /// # Errors
    /// [`RadioError::Bind`] and [`RadioError::Io`] when the system refuses.
    pub fn connect(config: UdpSourceConfig) -> Result<Self, RadioError> {
        let Bound { socket, window } = bind(local_address_for(config.air))?;
        socket.connect(config.air)?;
        socket.set_read_timeout(Some(config.timeout.max(Duration::from_millis(1))))?;
        let voice = Arc::new(Voice {
            socket,
            stream: config.stream,
            session: session(),
            sample_rate_hz: config.sample_rate_hz,
            position: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let speaker = Arc::clone(&voice);
        let helper = std::thread::Builder::new()
            .name("radio-hello".into())
            .spawn(move || speaker.keep_saying_hello())?;
        Ok(Self {
            config,
            voice,
            helper: Some(helper),
            window,
            established: false,
            heard: Instant::now(),
            flowing: false,
            restarted: false,
            lost: 0,
            early: None,
            incoming: vec![0; MAX_DATAGRAM_BYTES],
        })
    }

    /// Whether the air has taken this receiver in: what is sent from now on will be heard.
    pub fn is_established(&self) -> bool {
        self.established
    }

    /// Waits until the air has taken this receiver in; says whether it did in time.
    ///
    /// # Errors
    /// As [`RadioSource::receive`].
    pub fn wait_established(&mut self, timeout: Duration) -> Result<bool, RadioError> {
        let until = Instant::now() + timeout;
        while !self.established && self.early.is_none() && Instant::now() < until {
            let mut samples = Vec::new();
            if let Some(received) = self.take_datagram(&mut samples)? {
                self.established = true;
                self.early = Some((received, samples));
            }
        }
        Ok(self.established)
    }

    /// Grants a whole window from the next expected sample on.
    fn grant(&mut self, expected: u64) {
        let mut position = self.voice.position.lock().unwrap_or_else(PoisonError::into_inner);
        position.expected = expected;
        position.limit = expected + self.window;
    }

    /// Handles one datagram, or none if the time ran out; samples end the wait of the caller.
    fn take_datagram(&mut self, out: &mut Vec<Complex32>) -> Result<Option<Received>, RadioError> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let result = match self.voice.socket.recv(&mut incoming) {
            Ok(length) => self.handle(&incoming[..length], out),
            Err(error) if transient(&error) => {
                if error.kind() == std::io::ErrorKind::ConnectionRefused {
                    std::thread::sleep(ASK_INTERVAL);
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        };
        self.incoming = incoming;
        result
    }

    fn handle(&mut self, bytes: &[u8], out: &mut Vec<Complex32>) -> Result<Option<Received>, RadioError> {
        let Ok(datagram) = parse(bytes) else {
            return Ok(None);
        };
        let header = datagram.header;
        if header.peer_session != self.voice.session {
            return Ok(None);
        }
        if header.sample_rate_hz != self.config.sample_rate_hz {
            return Err(RadioError::SampleRate {
                address: self.config.air,
                air_hz: header.sample_rate_hz,
                radio_hz: self.config.sample_rate_hz,
            });
        }
        let position = self.voice.position();
        if header.session != position.air_session {
            if header.kind == Kind::Status {
                self.begin_anew(&header, position.air_session != 0);
            }
            return Ok(None);
        }
        if header.kind != Kind::Status && header.kind != Kind::Samples {
            return Ok(None);
        }
        self.heard = Instant::now();
        let established = header.flags & flags::ESTABLISHED != 0;
        self.established = self.established || established || header.kind == Kind::Samples;
        let gap = header.first_sample.saturating_sub(position.expected);
        if gap > 0 {
            if self.flowing {
                self.lost += gap;
            }
            self.grant(header.first_sample);
        }
        self.flowing = self.flowing || self.established;
        if header.kind == Kind::Status {
            if gap > 0 {
                self.voice.say(Kind::Credit);
            }
            return Ok(None);
        }
        if header.first_sample < position.expected {
            return Ok(None);
        }
        let first = out.len();
        datagram.read_samples(out);
        let samples = out.len() - first;
        let expected = header.first_sample + samples as u64;
        let limit = self.voice.position().limit;
        if gap > 0 || limit < expected + self.window / 2 {
            self.grant(expected);
            self.voice.say(Kind::Credit);
        } else {
            self.voice.position.lock().unwrap_or_else(PoisonError::into_inner).expected = expected;
        }
        Ok(Some(Received {
            first_sample: header.first_sample,
            samples,
            lost_before: std::mem::take(&mut self.lost),
            restarted: std::mem::take(&mut self.restarted),
        }))
    }

    /// An air that we did not know: its indices count from here.
    fn begin_anew(&mut self, header: &Header, knew_another: bool) {
        {
            let mut position = self.voice.position.lock().unwrap_or_else(PoisonError::into_inner);
            position.air_session = header.session;
            position.expected = header.first_sample;
            position.limit = header.first_sample + self.window;
        }
        if knew_another {
            tracing::info!(air = %self.config.air, "the air was restarted");
        }
        self.restarted = self.restarted || knew_another;
        self.established = false;
        self.flowing = false;
        self.lost = 0;
        self.voice.say(Kind::Hello);
    }
}

impl RadioSource for UdpSource {
    fn hears(&self) -> bool {
        self.established && self.heard.elapsed() < GONE_AFTER
    }

    fn receive(&mut self, out: &mut Vec<Complex32>) -> Result<Received, RadioError> {
        if let Some((received, samples)) = self.early.take() {
            out.extend_from_slice(&samples);
            return Ok(received);
        }
        let until = Instant::now() + self.config.timeout;
        loop {
            if let Some(received) = self.take_datagram(out)? {
                return Ok(received);
            }
            if Instant::now() >= until {
                return Ok(Received { first_sample: self.voice.position().expected, ..Received::default() });
            }
        }
    }
}

impl Drop for UdpSource {
    fn drop(&mut self) {
        self.voice.stop.store(true, Ordering::Relaxed);
        if let Some(helper) = self.helper.take() {
            helper.thread().unpark();
            // The helper cannot panic; there is nothing to do about it here if it did.
            let _ = helper.join();
        }
        self.voice.say(Kind::Goodbye);
    }
}
