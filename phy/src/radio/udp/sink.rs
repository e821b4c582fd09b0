//! The transmitting radio: bursts → datagrams, as fast as the air grants.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::ASK_INTERVAL;
use super::socket::{Bound, bind, local_address_for, samples_per_datagram, session, transient};
use crate::radio::datagram::{Header, Kind, MAX_DATAGRAM_BYTES, SampleFormat, flags, parse, write};
use crate::radio::{RadioError, RadioSink};

/// Times a burst is begun again after the air gave it up or was restarted.
const ATTEMPTS: u32 = 4;

/// How to reach the air.
#[derive(Debug, Clone)]
pub struct UdpSinkConfig {
    /// The air's port for transmitters.
    pub air: SocketAddr,
    /// Must be the air's own.
    pub sample_rate_hz: f64,
    /// A number that tells this transmitter from others on the machine, so that after a restart it
    /// replaces its former self at once; zero for none, then the air notices by silence.
    pub stream: u32,
    /// How long a burst waits for an answer before [`RadioError::NoAir`]. Default 5 s: an air that
    /// is being restarted is back by then.
    pub wait_for_air: Duration,
    /// When raised, a waiting burst returns [`RadioError::Stopped`].
    pub stop: Arc<AtomicBool>,
}

impl UdpSinkConfig {
    /// The defaults, for an air at this address.
    pub fn new(air: SocketAddr, sample_rate_hz: f64) -> Self {
        Self { air, sample_rate_hz, stream: 0, wait_for_air: Duration::from_secs(5), stop: Arc::default() }
    }
}

/// A transmitting radio.
#[derive(Debug)]
pub struct UdpSink {
    config: UdpSinkConfig,
    socket: UdpSocket,
    session: u32,
    air_session: u32,
    next: u64,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

enum Outcome {
    Taken,
    Interrupted,
}

/// One burst under way.
struct Burst {
    start: u64,
    end: u64,
    limit: u64,
}

impl UdpSink {
    /// Opens a socket. The air need not be there yet.
    ///
    /// # Errors
    /// [`RadioError::Bind`] and [`RadioError::Io`] when the system refuses.
    pub fn connect(config: UdpSinkConfig) -> Result<Self, RadioError> {
        let Bound { socket, .. } = bind(local_address_for(config.air))?;
        socket.connect(config.air)?;
        socket.set_read_timeout(Some(ASK_INTERVAL))?;
        Ok(Self {
            config,
            socket,
            session: session(),
            air_session: 0,
            next: 0,
            outgoing: Vec::with_capacity(MAX_DATAGRAM_BYTES),
            incoming: vec![0; MAX_DATAGRAM_BYTES],
        })
    }

    fn send(
        &mut self,
        kind: Kind,
        flags: u8,
        first_sample: u64,
        samples: &[Complex32],
    ) -> Result<(), RadioError> {
        let header = Header {
            kind,
            flags,
            format: SampleFormat::Cf32,
            stream: self.config.stream,
            session: self.session,
            peer_session: self.air_session,
            count: 0,
            first_sample,
            limit: 0,
            sample_rate_hz: self.config.sample_rate_hz,
        };
        write(&header, samples, &mut self.outgoing);
        match self.socket.send(&self.outgoing) {
            Err(error) if !transient(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Tells the air where this burst stands, which it answers.
    fn ask(&mut self, burst: &Burst) -> Result<(), RadioError> {
        let mut edge = 0;
        if self.next == burst.start {
            edge |= flags::START_OF_BURST;
        }
        if self.next == burst.end {
            edge |= flags::END_OF_BURST;
        }
        self.send(Kind::Hello, edge, self.next, &[])
    }

    /// The next message of the air, or none after [`ASK_INTERVAL`].
    fn listen(&mut self) -> Result<Option<Header>, RadioError> {
        match self.socket.recv(&mut self.incoming) {
            Ok(length) => {
                let Ok(datagram) = parse(&self.incoming[..length]) else {
                    return Ok(None);
                };
                let header = datagram.header;
                if header.peer_session != self.session {
                    return Ok(None);
                }
                if header.sample_rate_hz != self.config.sample_rate_hz {
                    return Err(RadioError::SampleRate {
                        address: self.config.air,
                        air_hz: header.sample_rate_hz,
                        radio_hz: self.config.sample_rate_hz,
                    });
                }
                Ok(Some(header))
            }
            Err(error) if transient(&error) => {
                // A closed port is reported at once, where an open one would have kept us waiting.
                if error.kind() == std::io::ErrorKind::ConnectionRefused {
                    std::thread::sleep(ASK_INTERVAL);
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what has been granted.
    fn advance(&mut self, burst: &Burst, samples: &[Complex32]) -> Result<(), RadioError> {
        let most = samples_per_datagram(self.config.air) as u64;
        while self.next < burst.end {
            let count = most.min(burst.end - self.next);
            if self.next + count > burst.limit {
                break;
            }
            let mut edge = 0;
            if self.next == burst.start {
                edge |= flags::START_OF_BURST;
            }
            if self.next + count == burst.end {
                edge |= flags::END_OF_BURST;
            }
            let from = (self.next - burst.start) as usize;
            let part = &samples[from..from + count as usize];
            self.send(Kind::Samples, edge, self.next, part)?;
            self.next += count;
        }
        Ok(())
    }

    fn attempt(&mut self, samples: &[Complex32]) -> Result<Outcome, RadioError> {
        let mut burst = Burst { start: self.next, end: self.next + samples.len() as u64, limit: self.next };
        let mut heard = Instant::now();
        let mut asked = heard;
        self.ask(&burst)?;
        loop {
            self.advance(&burst, samples)?;
            let answer = self.listen()?;
            if self.config.stop.load(Ordering::Relaxed) {
                return Err(RadioError::Stopped);
            }
            let Some(header) = answer else {
                let waited = heard.elapsed();
                if waited >= self.config.wait_for_air {
                    return Err(RadioError::NoAir { address: self.config.air, waited });
                }
                if asked.elapsed() >= ASK_INTERVAL / 2 {
                    self.ask(&burst)?;
                    asked = Instant::now();
                }
                continue;
            };
            heard = Instant::now();
            let begun = self.next > burst.start;
            if header.session != self.air_session {
                self.air_session = header.session;
                if begun {
                    return Ok(Outcome::Interrupted);
                }
                self.ask(&burst)?;
            } else if header.kind == Kind::Credit {
                burst.limit = burst.limit.max(header.limit);
                if self.next == burst.end && header.first_sample >= burst.end {
                    return Ok(Outcome::Taken);
                }
            } else if header.flags & flags::DISCONTINUITY != 0 && begun && header.first_sample >= burst.start
            {
                return Ok(Outcome::Interrupted);
            }
        }
    }
}

impl RadioSink for UdpSink {
    fn send_burst(&mut self, samples: &[Complex32]) -> Result<(), RadioError> {
        if samples.is_empty() {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            match self.attempt(samples)? {
                Outcome::Taken => return Ok(()),
                Outcome::Interrupted => {
                    tracing::warn!(air = %self.config.air, "the air lost the burst, beginning again");
                }
            }
        }
        Err(RadioError::Interrupted { address: self.config.air, attempts: ATTEMPTS })
    }
}

impl Drop for UdpSink {
    fn drop(&mut self) {
        // Courtesy only: without it the air finds out by silence.
        let _ = self.send(Kind::Goodbye, 0, self.next, &[]);
    }
}
