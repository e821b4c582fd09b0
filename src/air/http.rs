//! The air over HTTP: settings to read and change, figures, spectra, and a page that shows them.
//!
//! There is no authentication: whoever reaches the address may change the channel. Changes are taken only as
//! `application/json`, which a page of another origin cannot send without being asked first.

use std::{io::Read, net::SocketAddr, sync::Arc};

use anyhow::Context;
use semcast_phy::radio::air::{AirControl, AirSettings, AirStats, ChangeError, MAX_CHANGE_BYTES, Pacing};
use serde::Serialize;
use tiny_http::{Header, Method, Request, Response, Server};

/// Threads that answer.
const THREADS: usize = 2;
/// Bins of a spectrum when nothing is said.
const DEFAULT_BINS: usize = 512;

/// Answers at an address for as long as the process lives; returns the address.
pub fn serve(address: SocketAddr, air: &AirControl) -> anyhow::Result<SocketAddr> {
    let server = Server::http(address)
        .map_err(|error| anyhow::anyhow!(error))
        .with_context(|| format!("cannot listen on TCP {address}"))?;
    let bound = server.server_addr().to_ip().context("not an IP address")?;
    let server = Arc::new(server);
    for _ in 0..THREADS {
        let (server, air) = (Arc::clone(&server), air.clone());
        std::thread::Builder::new().name("air-http".into()).spawn(move || {
            while let Ok(request) = server.recv() {
                answer(request, &air);
            }
        })?;
    }
    Ok(bound)
}

fn answer(mut request: Request, air: &AirControl) {
    let is_json = request.headers().iter().any(|header| {
        let kind = header.value.as_str().split(';').next().unwrap_or_default().trim();
        header.field.equiv("Content-Type") && kind == "application/json"
    });
    let mut body = Vec::new();
    // One byte more than allowed, so that the rest need not be read to know.
    let read = request.as_reader().take(MAX_CHANGE_BYTES as u64 + 1).read_to_end(&mut body);
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let answer = match read {
        Ok(_) => reply(request.method(), path, query, is_json, &body, air),
        Err(error) => Reply::refusal(400, &error.to_string()),
    };
    let mut response = Response::from_data(answer.body).with_status_code(answer.status);
    for (name, value) in [("Content-Type", answer.kind), ("Cache-Control", "no-store")] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    // Who does not wait for the answer does not want it.
    let _ = request.respond(response);
}

/// What is answered.
struct Reply {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl Reply {
    fn json(status: u16, value: &impl Serialize) -> Self {
        // Structures of numbers and texts cannot fail to be written.
        Self { status, kind: "application/json", body: serde_json::to_vec(value).unwrap_or_default() }
    }

    fn refusal(status: u16, error: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": error }))
    }
}

#[derive(Serialize)]
struct Figures {
    sample_rate_hz: f64,
    pacing: Pacing,
    #[serde(flatten)]
    stats: AirStats,
}

fn reply(method: &Method, path: &str, query: &str, is_json: bool, body: &[u8], air: &AirControl) -> Reply {
    match (method, path) {
        (Method::Get, "/") => Reply {
            status: 200,
            kind: "text/html; charset=utf-8",
            body: include_bytes!("page.html").to_vec(),
        },
        (Method::Get, "/api/settings") => Reply::json(200, &air.settings()),
        (Method::Put | Method::Patch, "/api/settings") if !is_json => {
            Reply::refusal(415, "Content-Type must be application/json")
        }
        (Method::Put, "/api/settings") => changed(air.replace(body)),
        (Method::Patch, "/api/settings") => changed(air.change(body)),
        (Method::Get, "/api/stats") => {
            let (sample_rate_hz, pacing) = (air.sample_rate_hz(), air.pacing());
            Reply::json(200, &Figures { sample_rate_hz, pacing, stats: air.stats() })
        }
        (Method::Get, "/api/spectrum") => {
            let wanted = query.split('&').find_map(|field| field.strip_prefix("bins="));
            match wanted.map_or(Ok(DEFAULT_BINS), str::parse) {
                Ok(bins @ 8..=4096) => Reply::json(200, &air.spectrum(bins)),
                _ => Reply::refusal(400, "bins must be a whole number from 8 to 4096"),
            }
        }
        (_, "/" | "/api/settings" | "/api/stats" | "/api/spectrum") => {
            Reply::refusal(405, "allowed is GET, and for /api/settings PUT and PATCH")
        }
        _ => Reply::refusal(404, "there are /, /api/settings, /api/stats and /api/spectrum"),
    }
}

fn changed(result: Result<AirSettings, ChangeError>) -> Reply {
    match result {
        Ok(settings) => Reply::json(200, &settings),
        Err(error) => {
            let status = match error {
                ChangeError::TooLong(_) => 413,
                ChangeError::Syntax(_) => 400,
                ChangeError::Refused(_) => 422,
            };
            Reply::refusal(status, &error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semcast_phy::radio::air::{Air, AirConfig};
    use serde_json::Value;

    fn control() -> AirControl {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let config =
            AirConfig { listen_transmit: loopback, listen_receive: loopback, ..AirConfig::default() };
        Air::bind(config).expect("an air").control()
    }

    fn ask(air: &AirControl, method: Method, path: &str, body: &str) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let reply = reply(&method, path, query, true, body.as_bytes(), air);
        (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
    }

    #[test]
    fn settings_are_changed_in_part_or_as_a_whole_and_refusals_name_the_range() {
        let air = control();
        let (status, settings) =
            ask(&air, Method::Patch, "/api/settings", r#"{"channel": {"snr_db": 4.5, "profile": "epa"}}"#);
        assert_eq!((status, &settings["channel"]["profile"]), (200, &"epa".into()));
        assert_eq!(ask(&air, Method::Get, "/api/settings", ""), (200, settings));
        let (status, settings) = ask(&air, Method::Put, "/api/settings", r#"{"faults": {"loss": 0.25}}"#);
        assert_eq!((status, &settings["channel"]["profile"]), (200, &"awgn".into()));
        for (body, expected, part) in [
            (r#"{"faults": {"loss": 3}}"#, 422, "0 to 0.9"),
            (r#"{"channel": {"snr": 3}}"#, 400, "unknown field `snr`"),
            ("{", 400, "not understood"),
        ] {
            let (status, answer) = ask(&air, Method::Patch, "/api/settings", body);
            assert!(status == expected && answer["error"].as_str().unwrap_or("").contains(part), "{answer}");
        }
        assert_eq!(air.settings().faults.loss, 0.25);
        let as_text = reply(&Method::Patch, "/api/settings", "", false, b"{}", &air);
        assert_eq!(as_text.status, 415);
    }

    #[test]
    fn figures_are_told_and_other_paths_refused() {
        let air = control();
        let (status, figures) = ask(&air, Method::Get, "/api/stats", "");
        assert_eq!((status, &figures["samples_out"], &figures["pacing"]), (200, &0.into(), &"fast".into()));
        assert_eq!(ask(&air, Method::Get, "/api/spectrum?bins=64", ""), (200, Value::Null));
        assert_eq!(ask(&air, Method::Get, "/api/spectrum?bins=9999", "").0, 400);
        assert_eq!(ask(&air, Method::Get, "/passwords", "").0, 404);
        assert_eq!(ask(&air, Method::Post, "/api/settings", "{}").0, 405);
    }
}
