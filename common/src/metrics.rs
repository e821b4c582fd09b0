//! Metrics of a daemon for Prometheus: `GET /metrics` over HTTP/1.1, in the text format of OpenMetrics.
//!
//! A daemon has a [`Registry`] of counters, gauges and histograms; [`serve`] answers whoever asks. There is no
//! authentication: the address should be one that only the machine itself or a trusted network reaches.
//!
//! Reference: OpenMetrics 1.0.0.

use std::net::SocketAddr;

pub use prometheus_client::registry::Registry;
use thiserror::Error;
use tiny_http::{Header, Method, Response, Server};

/// Upper limits of histograms of durations, in s.
pub const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// What answers say that they are.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why metrics cannot be served.
#[derive(Debug, Error)]
#[error("cannot listen on TCP {address} for metrics: {reason}")]
pub struct MetricsError {
    address: SocketAddr,
    reason: String,
}

/// The metrics of a registry as text.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, registry) {
        // Writing to a string fails only if a metric fails to say itself.
        tracing::warn!(%error, "metrics: one cannot be written");
    }
    text
}

/// Answers `GET /metrics` on `address`, in a thread of its own, for as long as the process lives. Returns the address, whose
/// port the system may have chosen.
pub fn serve(address: SocketAddr, registry: Registry) -> Result<SocketAddr, MetricsError> {
    let failed = |reason: String| MetricsError { address, reason };
    let server = Server::http(address).map_err(|error| failed(error.to_string()))?;
    let bound = server.server_addr().to_ip().unwrap_or(address);
    let answer = move || {
        let content_type = Header::from_bytes("Content-Type", CONTENT_TYPE);
        for request in server.incoming_requests() {
            let found = request.method() == &Method::Get && request.url() == "/metrics";
            let (status, body) = if found { (200, text(&registry)) } else { (404, "GET /metrics\n".into()) };
            let mut response = Response::from_string(body).with_status_code(status);
            if let (true, Ok(content_type)) = (found, &content_type) {
                response.add_header(content_type.clone());
            }
            // Whoever has asked may have gone.
            let _ = request.respond(response);
        }
    };
    let thread = std::thread::Builder::new().name("metrics".into()).spawn(answer);
    thread.map_err(|error| failed(error.to_string()))?;
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn metrics_are_served_to_whoever_asks_for_them() {
        let mut registry = Registry::with_prefix("semcast_test");
        let counter = Counter::<u64>::default();
        registry.register("things", "Things that were counted", counter.clone());
        let address = serve(SocketAddr::from(([127, 0, 0, 1], 0)), registry).unwrap();
        counter.inc_by(3);
        let ask = |request: &str| {
            let mut socket = TcpStream::connect(address).unwrap();
            write!(socket, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer
        };
        let answer = ask("GET /metrics");
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("application/openmetrics-text"),
            "{answer}"
        );
        assert!(answer.contains("semcast_test_things_total 3") && answer.ends_with("# EOF\n"), "{answer}");
        for request in ["GET /", "POST /metrics"] {
            assert!(ask(request).starts_with("HTTP/1.1 404"), "{request}");
        }
        let taken = serve(address, Registry::default()).unwrap_err().to_string();
        assert!(taken.contains(&address.to_string()), "{taken}");
    }
}
