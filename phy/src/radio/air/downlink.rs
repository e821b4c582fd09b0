//! Receivers: who listens, up to which sample each may be sent to, who has gone silent.
//!
//! No sockets and no clock: datagrams and instants come in, answers go out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::radio::datagram::{Header, Kind, SampleFormat, flags};

/// Receivers that may listen at once.
pub const MAX_RECEIVERS: usize = 16;
/// Nobody is granted more than this ahead, whatever it says.
const MOST_AHEAD: u64 = 1 << 16;
/// A receiver that nothing waits for is forgotten after this time.
const IDLE: Duration = Duration::from_secs(10);
/// Hellos without progress that are answered one by one; later ones now and then, so that answers
/// do not fill the buffer of a receiver that is busy for long.
const ANSWERED_WITHOUT_PROGRESS: u32 = 8;

/// One receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receiver {
    pub address: SocketAddr,
    pub session: u32,
    pub stream: u32,
    /// Tells one stay from the next in the same place.
    pub stay: u64,
    /// Index at which its stream begins.
    pub start: u64,
    /// Index after the last sample sent.
    pub sent: u64,
    /// Samples below this index may be sent.
    pub limit: u64,
    heard: Instant,
    reported: u64,
    without_progress: u32,
}

/// All receivers.
#[derive(Debug)]
pub(super) struct Downlink {
    session: u32,
    sample_rate_hz: f64,
    silence: Duration,
    pub places: [Option<Receiver>; MAX_RECEIVERS],
    stays: u64,
}

impl Downlink {
    pub fn new(session: u32, sample_rate_hz: f64, silence: Duration) -> Self {
        Self { session, sample_rate_hz, silence, places: [None; MAX_RECEIVERS], stays: 0 }
    }

    /// Takes a datagram of a receiver; `time` is the index of the sample that the air is at.
    /// Returns the answer and whether the datagram was of use.
    pub fn handle(
        &mut self,
        header: &Header,
        from: SocketAddr,
        now: Instant,
        time: u64,
    ) -> (Option<Header>, bool) {
        let place =
            self.places.iter().position(|place| place.is_some_and(|receiver| receiver.address == from));
        let known = header.peer_session == self.session;
        match header.kind {
            // Nothing is kept of a stranger: it must first show that it hears us.
            Kind::Hello if !known => (Some(self.status(header, 0, time)), true),
            Kind::Hello => match self.listen_to(place, header, from, now, time) {
                Some(place) => (self.answer(place, header), true),
                None => (Some(self.status(header, 0, time)), true),
            },
            Kind::Credit if known => {
                if let Some(receiver) = place.and_then(|place| self.places[place].as_mut()) {
                    receiver.heard_at(now, header);
                }
                (None, true)
            }
            Kind::Goodbye => {
                if let Some(place) = place
                    && self.places[place].is_some_and(|r| r.session == header.session)
                {
                    tracing::debug!(%from, "receiver leaves");
                    self.places[place] = None;
                }
                (None, true)
            }
            Kind::Credit => (None, true),
            Kind::Samples | Kind::Status => (None, false),
        }
    }

    /// Finds or makes a place; none if all are taken.
    fn listen_to(
        &mut self,
        place: Option<usize>,
        header: &Header,
        from: SocketAddr,
        now: Instant,
        time: u64,
    ) -> Option<usize> {
        if let Some(place) = place
            && let Some(receiver) = &mut self.places[place]
            && receiver.session == header.session
        {
            receiver.heard_at(now, header);
            return Some(place);
        }
        let place = place.or_else(|| self.places.iter().position(Option::is_none))?;
        tracing::debug!(%from, place, "receiver joins");
        self.stays += 1;
        let start = time.max(header.first_sample);
        let mut receiver = Receiver {
            address: from,
            session: header.session,
            stream: header.stream,
            stay: self.stays,
            start,
            sent: start,
            limit: start,
            heard: now,
            reported: u64::MAX,
            without_progress: 0,
        };
        receiver.heard_at(now, header);
        self.places[place] = Some(receiver);
        Some(place)
    }

    fn answer(&mut self, place: usize, header: &Header) -> Option<Header> {
        let receiver = self.places[place].as_mut()?;
        let place_in_stream = receiver.sent;
        if receiver.reported == place_in_stream {
            receiver.without_progress = receiver.without_progress.saturating_add(1);
        } else {
            receiver.reported = place_in_stream;
            receiver.without_progress = 0;
        }
        let due =
            receiver.without_progress < ANSWERED_WITHOUT_PROGRESS || receiver.without_progress % 16 == 0;
        due.then(|| self.status(header, flags::ESTABLISHED, place_in_stream))
    }

    /// Moves a receiver's stream on to `index`, past samples that it will never get; returns what to
    /// tell it, and where.
    pub fn skip(&mut self, place: usize, stay: u64, index: u64) -> Option<(Header, SocketAddr)> {
        let receiver = self.places[place].as_mut().filter(|receiver| receiver.stay == stay)?;
        receiver.sent = index;
        let receiver = *receiver;
        let status = Header {
            kind: Kind::Status,
            flags: flags::ESTABLISHED | flags::DISCONTINUITY,
            format: SampleFormat::Cf32,
            stream: receiver.stream,
            session: self.session,
            peer_session: receiver.session,
            count: 0,
            first_sample: index,
            limit: 0,
            sample_rate_hz: self.sample_rate_hz,
        };
        Some((status, receiver.address))
    }

    fn status(&self, to: &Header, flags: u8, first_sample: u64) -> Header {
        Header {
            kind: Kind::Status,
            flags,
            format: SampleFormat::Cf32,
            stream: to.stream,
            session: self.session,
            peer_session: to.session,
            count: 0,
            first_sample,
            limit: 0,
            sample_rate_hz: self.sample_rate_hz,
        }
    }

    /// Drops who has been silent for too long: `waiting` tells which places hold back others.
    /// Returns how many of those there were.
    pub fn drop_silent(&mut self, now: Instant, waiting: [bool; MAX_RECEIVERS]) -> u64 {
        let mut dropped = 0;
        for (place, waiting) in self.places.iter_mut().zip(waiting) {
            let Some(receiver) = place else { continue };
            let limit = if waiting { self.silence } else { IDLE };
            if now.saturating_duration_since(receiver.heard) > limit {
                let address = receiver.address;
                tracing::warn!(%address, "receiver fell silent and is dropped until it says hello");
                *place = None;
                dropped += u64::from(waiting);
            }
        }
        dropped
    }
}

impl Receiver {
    fn heard_at(&mut self, now: Instant, header: &Header) {
        self.heard = now;
        if header.session == self.session {
            self.limit = self.limit.max(header.limit.min(self.sent + MOST_AHEAD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: u32 = 5;

    fn hello(session: u32, peer_session: u32, limit: u64) -> Header {
        Header {
            kind: Kind::Hello,
            flags: 0,
            format: SampleFormat::Cf32,
            stream: 0,
            session,
            peer_session,
            count: 0,
            first_sample: 0,
            limit,
            sample_rate_hz: 1e6,
        }
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn downlink() -> Downlink {
        Downlink::new(SESSION, 1e6, Duration::from_secs(1))
    }

    #[test]
    fn a_place_is_given_to_who_names_our_session() {
        let (mut downlink, now) = (downlink(), Instant::now());
        let (answer, _) = downlink.handle(&hello(1, 0, 9), address(1), now, 40);
        let answer = answer.expect("an answer");
        assert_eq!((answer.first_sample, answer.flags), (40, 0));
        assert!(downlink.places.iter().all(Option::is_none));
        let (answer, _) = downlink.handle(&hello(1, SESSION, 900), address(1), now, 40);
        assert_eq!(answer.expect("an answer").flags, flags::ESTABLISHED);
        let receiver = downlink.places[0].expect("taken in");
        assert_eq!((receiver.start, receiver.limit), (40, 900));
    }

    #[test]
    fn grants_only_grow_and_are_bounded() {
        let (mut downlink, now) = (downlink(), Instant::now());
        for limit in [500, 100, 1 << 62] {
            downlink.handle(&hello(1, SESSION, limit), address(1), now, 0);
            let receiver = downlink.places[0].expect("taken in");
            assert!((500..=MOST_AHEAD).contains(&receiver.limit));
        }
    }

    #[test]
    fn only_the_silent_are_dropped_and_may_return() {
        let (mut downlink, now) = (downlink(), Instant::now());
        downlink.handle(&hello(1, SESSION, 10), address(1), now, 0);
        downlink.handle(&hello(2, SESSION, 10), address(2), now, 0);
        let later = now + Duration::from_secs(2);
        downlink.handle(&hello(2, SESSION, 10), address(2), later, 0);
        assert_eq!(downlink.drop_silent(later, [true; MAX_RECEIVERS]), 1);
        assert!(downlink.places[0].is_none() && downlink.places[1].is_some());
        downlink.handle(&hello(1, SESSION, 10), address(1), later, 70);
        assert_eq!(downlink.places[0].expect("back").start, 70);
    }

    #[test]
    fn a_crowd_is_turned_away() {
        let (mut downlink, now) = (downlink(), Instant::now());
        for port in 1..=40 {
            let session = u32::from(port);
            let (answer, _) = downlink.handle(&hello(session, SESSION, 10), address(port), now, 0);
            let established = answer.expect("an answer").flags == flags::ESTABLISHED;
            assert_eq!(established, usize::from(port) <= MAX_RECEIVERS);
        }
    }

    #[test]
    fn a_new_session_at_the_same_address_begins_anew() {
        let (mut downlink, now) = (downlink(), Instant::now());
        downlink.handle(&hello(1, SESSION, 10), address(1), now, 0);
        let before = downlink.places[0].expect("taken in").stay;
        downlink.handle(&hello(2, SESSION, 10), address(1), now, 30);
        let receiver = downlink.places[0].expect("taken in");
        assert!(receiver.stay != before && receiver.start == 30 && receiver.session == 2);
    }

    #[test]
    fn a_busy_receiver_is_not_buried_in_answers() {
        let (mut downlink, now) = (downlink(), Instant::now());
        let answers = (0..1000)
            .filter(|_| downlink.handle(&hello(1, SESSION, 10), address(1), now, 0).0.is_some())
            .count();
        assert!(answers < 80, "{answers}");
    }
}
