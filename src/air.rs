//! `semcast air`: the emulated channel.

mod http;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clap::Args as ClapArgs;
use semcast_common::config::{Config, Overrides, Pacing as ConfigPacing};
use semcast_phy::{
    channel::{ChannelConfig, FrontEndConfig, TransmitterConfig},
    radio::air::{Air, AirConfig, LinkFaults, Pacing, RawConfig},
};

use crate::{air_metrics, exit::Failure, flags};

/// Run the emulated channel: takes samples from transmitters over UDP, and gives them to receivers
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    source: flags::Source,
    #[command(flatten)]
    channel: flags::Channel,
    #[command(flatten)]
    child: flags::Child,
    /// UDP address that takes samples from transmitters
    #[arg(long, value_name = "HOST:PORT")]
    transmit_addr: Option<String>,
    /// UDP address that gives samples to receivers
    #[arg(long, value_name = "HOST:PORT")]
    receive_addr: Option<String>,
    /// Address of a page and an interface over HTTP, to watch and change the channel while it runs; there is no
    /// authentication
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
    /// TCP address that serves metrics for Prometheus; there is no authentication
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    #[command(flatten)]
    record: crate::recording::Record,
}

/// Runs it until it is stopped, and logs what passed through.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut overrides = Overrides::new();
    args.channel.add_to(&mut overrides);
    overrides
        .set("--transmit-addr", "air.transmit_addr", args.transmit_addr.clone())
        .set("--receive-addr", "air.receive_addr", args.receive_addr.clone())
        .set("--metrics", "air.metrics_addr", args.metrics.clone())
        .set("--http", "air.http", args.http.clone());
    let Some(config) = flags::load(&args.source, &overrides)? else { return Ok(()) };
    let air = Air::bind(AirConfig { record: args.record.of_air(), ..air_config(&config)? })?;
    let runtime = flags::runtime()?;
    let mut addresses = vec![("transmit", air.transmit_address()?), ("receive", air.receive_address()?)];
    addresses.extend(air.raw_address()?.map(|address| ("raw", address)));
    if let Some(address) = &config.air.http {
        addresses.push(("http", http::serve(flags::address(address)?, &air.control())?));
    }
    let served = flags::serve_metrics(config.air.metrics_addr.as_deref(), |registry| {
        air_metrics::register(air.monitor(), registry);
    })?;
    flags::announce("air", &flags::addresses(&addresses, served));

    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    runtime.spawn(async move {
        flags::stop_signal(args.child.until_input_closes).await;
        raised.store(true, Ordering::Relaxed);
    });
    let stats = air.run(stop)?;
    tracing::info!(?stats, "the air has stopped");
    runtime.shutdown_background();
    Ok(())
}

/// The settings of the air in a configuration.
pub fn air_config(config: &Config) -> anyhow::Result<AirConfig> {
    let air = &config.air;
    let numerology = flags::numerology(config)?;
    Ok(AirConfig {
        listen_transmit: flags::address(&air.transmit_addr)?,
        listen_receive: flags::address(&air.receive_addr)?,
        sample_rate_hz: numerology.sample_rate_hz,
        pacing: match air.pacing {
            ConfigPacing::Fast => Pacing::Fast,
            ConfigPacing::Paced => Pacing::Paced,
        },
        channel: ChannelConfig {
            profile: air.channel.parse()?,
            snr_db: Some(air.snr_db),
            occupied_fraction: numerology.occupied_fraction(),
            delay_samples: air.delay_samples,
            doppler_hz: air.doppler_hz,
            cfo_hz: air.cfo_hz,
            sampling_offset_ppm: air.clock_offset_ppm,
            transmitter: TransmitterConfig {
                dac_bits: air.dac_bits,
                dac_full_scale_db: air.dac_full_scale_db,
                amplifier: air.amplifier.parse()?,
                backoff_db: air.backoff_db,
                phase_noise_hz: air.phase_noise_hz,
                phase_noise_loop_hz: air.phase_noise_loop_hz,
                iq_gain_db: air.iq_gain_db,
                iq_phase_deg: air.iq_phase_deg,
            },
            dropouts_per_s: air.dropouts_per_s,
            dropout_ms: air.dropout_ms,
            interferers: air.interferers.parse()?,
            front_end: FrontEndConfig {
                gain_db: air.gain_db,
                agc_range_db: air.agc_range_db,
                agc_time_us: air.agc_time_us,
                dc_offset_db: air.dc_offset_db,
                adc_bits: air.adc_bits,
                adc_full_scale_db: air.adc_full_scale_db,
            },
            seed: air.seed,
        },
        raw: RawConfig {
            input: air.raw_input.as_deref().map(flags::address).transpose()?,
            output: air.raw_output.as_deref().map(flags::address).transpose()?,
            format: air.raw_format.parse().map_err(Failure::Usage)?,
        },
        faults: LinkFaults { loss: air.loss, loss_burst: air.loss_burst },
        ..AirConfig::default()
    })
}
