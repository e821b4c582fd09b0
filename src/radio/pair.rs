//! A transmitting and a receiving radio, for measurements between them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use semcast_common::config::{Config, Overrides};
use semcast_phy::{
    channel::ChannelConfig,
    numerology::Numerology,
    radio::{
        RadioAddress, RadioError,
        air::{Air, AirConfig},
        calibration::session::Session,
        open::Radio,
        soapy::Direction,
    },
};

use crate::{exit::Failure, flags, radio_choice};

/// Number of the measuring transmitter in its frames.
const TRANSMITTER: u16 = 0xCA1B;
/// How long a probe is waited for, beside its own length.
const PATIENCE: Duration = Duration::from_secs(3);

/// The two radios of a measurement, on this machine: joined by a cable with an attenuator, or by an air.
#[derive(Args, Default, Clone)]
pub struct Pair {
    /// Radio that transmits: udp:HOST:PORT or soapy:driver=NAME,...
    #[arg(long, value_name = "RADIO")]
    pub transmit: Option<String>,
    /// Radio that receives
    #[arg(long, value_name = "RADIO")]
    pub receive: Option<String>,
    /// Of devices: centre of the signal, in Hz
    #[arg(long, value_name = "HZ")]
    pub frequency: Option<f64>,
    /// Of a transmitting device: gain in dB, or stages such as VGA=20,AMP=0
    #[arg(long, value_name = "DB", allow_hyphen_values = true)]
    pub transmit_gain: Option<String>,
    /// Of a receiving device: gain in dB, or stages such as LNA=16,VGA=20
    #[arg(long, value_name = "DB", allow_hyphen_values = true)]
    pub receive_gain: Option<String>,
    /// Of a transmitting device: mean level, in dB of full scale
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub level: Option<f64>,
}

impl Pair {
    /// Adds the flags that were given.
    pub fn add_to(&self, overrides: &mut Overrides) {
        overrides
            .set("--transmit", "transmitter.radio", self.transmit.clone())
            .set("--receive", "receiver.radio", self.receive.clone())
            .set("--frequency", "soapy.frequency_hz", self.frequency)
            .set("--transmit-gain", "soapy.transmit_gain", self.transmit_gain.clone())
            .set("--receive-gain", "soapy.receive_gain", self.receive_gain.clone())
            .set("--level", "soapy.level_dbfs", self.level);
    }
}

/// The two radios of a configuration.
pub fn radios(config: &Config) -> anyhow::Result<[Radio; 2]> {
    Ok([radio_choice::radio(config, Direction::Transmit)?, radio_choice::radio(config, Direction::Receive)?])
}

/// Starts a session between two radios.
pub fn session([transmit, receive]: &[Radio; 2], numerology: Numerology) -> anyhow::Result<Session> {
    let rate = numerology.sample_rate_hz;
    let source = receive.source(rate)?;
    let sink = transmit.sink(rate, 0, Arc::default())?;
    Ok(Session::start(sink, source, numerology, TRANSMITTER, PATIENCE)?)
}

/// Runs a measurement over an air of its own, in this process but over sockets. `through` names both radios, with `{transmit}` and
/// `{receive}` for the air's ports; without one they are the ports themselves.
pub fn emulated<T>(
    config: &Config,
    channel: ChannelConfig,
    lead_samples: u32,
    through: Option<&str>,
    measure: impl FnOnce(&mut Session) -> Result<T, RadioError>,
) -> anyhow::Result<T> {
    let numerology = flags::numerology(config)?;
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let air = Air::bind(AirConfig {
        listen_transmit: any_port,
        listen_receive: any_port,
        sample_rate_hz: numerology.sample_rate_hz,
        lead_samples,
        settle_ms: 50,
        channel: ChannelConfig { occupied_fraction: numerology.occupied_fraction(), ..channel },
        ..AirConfig::default()
    })?;
    let (transmit, receive) = (air.transmit_address()?, air.receive_address()?);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let thread = std::thread::Builder::new().name("air".into()).spawn(move || air.run(stopping))?;
    let result = (|| {
        let radios = match through {
            None => [Radio::Udp(transmit), Radio::Udp(receive)],
            Some(through) => {
                let named = through
                    .replace("{transmit}", &transmit.to_string())
                    .replace("{receive}", &receive.to_string());
                let address: RadioAddress =
                    named.parse().map_err(|error| Failure::Usage(format!("--through: {error}")))?;
                let RadioAddress::Soapy(device) = address else {
                    return Err(Failure::Usage("--through is for devices: soapy:driver=...".into()).into());
                };
                let settings = |direction| radio_choice::soapy_settings(config, direction).map(Box::new);
                [
                    Radio::Soapy { device: device.clone(), settings: settings(Direction::Transmit)? },
                    Radio::Soapy { device, settings: settings(Direction::Receive)? },
                ]
            }
        };
        let mut session = session(&radios, numerology)?;
        Ok(measure(&mut session)?)
    })();
    stop.store(true, Ordering::Relaxed);
    // Its statistics are of no interest here, and a panic has been told.
    let _ = thread.join();
    result
}
