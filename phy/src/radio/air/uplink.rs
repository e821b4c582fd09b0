//! Transmitters → queues of bursts: whose turn it is, how far it may send, what got lost.
//!
//! Either one burst is taken after another, into one queue, or each transmitter has a queue and sends when it likes.
//!
//! No sockets and no clock: datagrams and instants come in, answers go out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use num_complex::Complex32;

use super::burst_queue::{BurstQueue, Item};
use crate::radio::datagram::{Datagram, Header, Kind, SampleFormat, flags};

/// Transmitters known at once.
pub const MAX_TRANSMITTERS: usize = 8;
/// A queue holds at least this many windows.
const QUEUE_WINDOWS: u64 = 4;
/// A queue of one of several transmitters holds samples of this time, so that one that is held up for a moment is not missed ...
const QUEUE_S: f64 = 0.1;
/// ... but never more than this.
const MAX_QUEUE_SAMPLES: f64 = 4e6;
/// A transmitter without a burst is forgotten after this time.
const IDLE: Duration = Duration::from_secs(10);

/// How several transmitters share the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// One burst after another, in the order of asking, through queue 0.
    Turns,
    /// Each when it likes, through a queue of its own; who reads them adds them up.
    Mixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Idle,
    Waiting,
    Active,
}

#[derive(Debug)]
struct Transmitter {
    address: SocketAddr,
    stream: u32,
    session: u32,
    heard: Instant,
    expected: u64,
    granted: u64,
    turn: Turn,
    /// Number of its queue.
    queue: usize,
}

/// What a datagram led to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Nothing to say.
    Fine,
    /// Answer the sender.
    Answer(Header),
    /// Of no use: count it.
    Junk,
}

/// Totals for the statistics.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    pub bursts: u64,
    pub samples: u64,
    pub lost: u64,
    pub given_up: u64,
}

/// All transmitters and the queue they fill.
#[derive(Debug)]
pub(super) struct Uplink {
    session: u32,
    sample_rate_hz: f64,
    window: u64,
    silence: Duration,
    /// No burst begins before: receivers of an earlier air shall find this one first.
    settled: Instant,
    transmitters: Vec<Transmitter>,
    waiting: VecDeque<SocketAddr>,
    sharing: Sharing,
    capacity: u64,
    pub queues: [BurstQueue; MAX_TRANSMITTERS],
    pub totals: Totals,
}

impl Uplink {
    pub fn new(
        session: u32,
        sample_rate_hz: f64,
        window: u64,
        sharing: Sharing,
        silence: Duration,
        settled: Instant,
    ) -> Self {
        let least = window * QUEUE_WINDOWS;
        let capacity = match sharing {
            Sharing::Turns => least,
            Sharing::Mixed => least.max((sample_rate_hz * QUEUE_S).min(MAX_QUEUE_SAMPLES) as u64),
        };
        Self {
            session,
            sample_rate_hz,
            window,
            silence,
            settled,
            transmitters: Vec::new(),
            waiting: VecDeque::new(),
            sharing,
            capacity,
            queues: Default::default(),
            totals: Totals::default(),
        }
    }

    fn header(&self, kind: Kind, flags: u8, to: &Transmitter) -> Header {
        Header {
            kind,
            flags,
            format: SampleFormat::Cf32,
            stream: to.stream,
            session: self.session,
            peer_session: to.session,
            count: 0,
            first_sample: to.expected,
            limit: if kind == Kind::Credit { to.granted } else { 0 },
            sample_rate_hz: self.sample_rate_hz,
        }
    }

    /// Takes a datagram from a transmitter's address.
    pub fn handle(&mut self, datagram: &Datagram<'_>, from: SocketAddr, now: Instant) -> Outcome {
        let header = datagram.header;
        if header.peer_session != self.session {
            // Only a hello earns an answer, and nothing is kept: the sender must first show that
            // it hears us.
            return match header.kind {
                Kind::Hello => Outcome::Answer(self.refusal(&header, 0)),
                Kind::Samples | Kind::Goodbye => Outcome::Fine,
                Kind::Credit | Kind::Status => Outcome::Junk,
            };
        }
        match header.kind {
            Kind::Hello => self.hello(&header, from, now),
            Kind::Samples => self.samples(datagram, from, now),
            Kind::Goodbye => {
                if let Some(index) = self.find(from, header.session) {
                    self.remove(index);
                }
                Outcome::Fine
            }
            Kind::Credit | Kind::Status => Outcome::Junk,
        }
    }

    /// An answer to a sender that is not, or no longer, part of the air.
    fn refusal(&self, header: &Header, flags: u8) -> Header {
        Header {
            kind: Kind::Status,
            flags,
            format: SampleFormat::Cf32,
            peer_session: header.session,
            session: self.session,
            count: 0,
            limit: 0,
            sample_rate_hz: self.sample_rate_hz,
            ..*header
        }
    }

    fn find(&self, address: SocketAddr, session: u32) -> Option<usize> {
        self.transmitters.iter().position(|t| t.address == address && t.session == session)
    }

    fn hello(&mut self, header: &Header, from: SocketAddr, now: Instant) -> Outcome {
        let starts = header.flags & flags::START_OF_BURST != 0;
        let Some(index) = self.find(from, header.session) else {
            if !starts {
                return Outcome::Answer(self.refusal(header, flags::DISCONTINUITY));
            }
            return self.welcome(header, from, now);
        };
        self.transmitters[index].heard = now;
        let transmitter = &mut self.transmitters[index];
        match transmitter.turn {
            Turn::Idle if starts && header.first_sample >= transmitter.expected => {
                transmitter.expected = header.first_sample;
                transmitter.granted = header.first_sample;
                transmitter.turn = Turn::Waiting;
                self.waiting.push_back(from);
                self.answer(index)
            }
            Turn::Idle if header.first_sample > transmitter.expected => {
                Outcome::Answer(self.refusal(header, flags::DISCONTINUITY))
            }
            Turn::Active if header.first_sample <= transmitter.granted => {
                let ends = header.flags & flags::END_OF_BURST != 0;
                self.fill_up_to(index, header.first_sample);
                if ends && self.transmitters[index].expected == header.first_sample {
                    self.end_burst(index);
                }
                self.answer(index)
            }
            _ => self.answer(index),
        }
    }

    fn answer(&self, index: usize) -> Outcome {
        let transmitter = &self.transmitters[index];
        let kind = if transmitter.turn == Turn::Waiting { Kind::Status } else { Kind::Credit };
        Outcome::Answer(self.header(kind, flags::ESTABLISHED, transmitter))
    }

    fn welcome(&mut self, header: &Header, from: SocketAddr, now: Instant) -> Outcome {
        // The same address, or the same named transmitter on the same machine: it was restarted.
        while let Some(former) = self.transmitters.iter().position(|t| {
            t.address == from || (t.stream == header.stream && t.stream != 0 && t.address.ip() == from.ip())
        }) {
            self.remove(former);
        }
        if self.transmitters.len() == MAX_TRANSMITTERS {
            let oldest_idle = (0..MAX_TRANSMITTERS)
                .filter(|&index| self.transmitters[index].turn == Turn::Idle)
                .min_by_key(|&index| self.transmitters[index].heard);
            match oldest_idle {
                Some(index) => self.remove(index),
                None => return Outcome::Answer(self.refusal(header, 0)),
            }
        }
        tracing::debug!(%from, stream = header.stream, "transmitter joins");
        let queue = match self.sharing {
            Sharing::Turns => 0,
            // There are as many as transmitters.
            Sharing::Mixed => {
                let taken = |queue: &usize| self.transmitters.iter().any(|t| t.queue == *queue);
                (0..MAX_TRANSMITTERS).find(|queue| !taken(queue)).unwrap_or(0)
            }
        };
        self.transmitters.push(Transmitter {
            queue,
            address: from,
            stream: header.stream,
            session: header.session,
            heard: now,
            expected: header.first_sample,
            granted: header.first_sample,
            turn: Turn::Waiting,
        });
        self.waiting.push_back(from);
        self.answer(self.transmitters.len() - 1)
    }

    fn samples(&mut self, datagram: &Datagram<'_>, from: SocketAddr, now: Instant) -> Outcome {
        let header = datagram.header;
        let Some(index) = self.find(from, header.session) else {
            return Outcome::Junk;
        };
        let transmitter = &mut self.transmitters[index];
        transmitter.heard = now;
        let end = header.first_sample + u64::from(header.count);
        let expected = header.first_sample >= transmitter.expected && end <= transmitter.granted;
        if transmitter.turn != Turn::Active || !expected {
            return Outcome::Junk;
        }
        self.fill_up_to(index, header.first_sample);
        let count = usize::from(header.count);
        let queue = self.transmitters[index].queue;
        datagram.read_samples(self.queues[queue].piece(count));
        self.count_in(index, count);
        if header.flags & flags::END_OF_BURST != 0 {
            self.end_burst(index);
            return self.answer(index);
        }
        Outcome::Fine
    }

    fn count_in(&mut self, index: usize, count: usize) {
        let transmitter = &mut self.transmitters[index];
        transmitter.expected += count as u64;
        self.queues[transmitter.queue].count_in(count);
        self.totals.samples += count as u64;
    }

    /// Zeros in place of what was lost, so that the rest of the burst keeps its time.
    fn fill_up_to(&mut self, index: usize, first_sample: u64) {
        // At most a window: nothing beyond the grant is accepted.
        let gap = first_sample.saturating_sub(self.transmitters[index].expected) as usize;
        if gap > 0 {
            let queue = self.transmitters[index].queue;
            let piece = self.queues[queue].piece(gap);
            piece.resize(piece.len() + gap, Complex32::default());
            self.count_in(index, gap);
            self.totals.lost += gap as u64;
        }
    }

    fn end_burst(&mut self, index: usize) {
        self.queues[self.transmitters[index].queue].end();
        self.totals.bursts += 1;
        self.transmitters[index].turn = Turn::Idle;
    }

    /// Forgets a transmitter. If a burst of it was under way, what waits of it is dropped and what
    /// has gone out ends here.
    fn remove(&mut self, index: usize) {
        let gone = self.transmitters.remove(index);
        self.waiting.retain(|address| *address != gone.address);
        if gone.turn != Turn::Active {
            return;
        }
        self.totals.given_up += 1;
        self.queues[gone.queue].give_up();
    }

    /// Passes turns on, drops who is silent, and returns the grants that became due.
    pub fn advance(&mut self, now: Instant) -> Vec<(SocketAddr, Header)> {
        let stale = |t: &Transmitter| {
            let limit = if t.turn == Turn::Idle { IDLE } else { self.silence };
            now.saturating_duration_since(t.heard) > limit
        };
        if let Some(index) = self.transmitters.iter().position(stale) {
            let gone = &self.transmitters[index];
            if gone.turn != Turn::Idle {
                tracing::warn!(address = %gone.address, "transmitter fell silent within a burst");
            }
            self.remove(index);
        }
        while now >= self.settled {
            let busy = self.transmitters.iter().any(|t| t.turn == Turn::Active);
            if busy && self.sharing == Sharing::Turns {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            if let Some(transmitter) = self.transmitters.iter_mut().find(|t| t.address == next) {
                transmitter.turn = Turn::Active;
                self.queues[transmitter.queue].start();
            }
        }
        (0..self.transmitters.len()).filter_map(|index| self.grant(index)).collect()
    }

    /// A grant to a transmitter that sends, if it is worth telling.
    fn grant(&mut self, index: usize) -> Option<(SocketAddr, Header)> {
        let transmitter = &mut self.transmitters[index];
        if transmitter.turn != Turn::Active {
            return None;
        }
        let room = self.capacity.saturating_sub(self.queues[transmitter.queue].samples());
        let possible = transmitter.expected + self.window.min(room);
        let worth_it = possible >= transmitter.granted + self.window / 4
            || (transmitter.granted == transmitter.expected && possible > transmitter.granted);
        if !worth_it {
            return None;
        }
        transmitter.granted = possible;
        let address = transmitter.address;
        let credit = self.header(Kind::Credit, flags::ESTABLISHED, &self.transmitters[index]);
        Some((address, credit))
    }

    /// The next thing of the one queue.
    pub fn take(&mut self) -> Option<Item> {
        self.queues[0].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::datagram::{parse, write};

    const SESSION: u32 = 77;
    const WINDOW: u64 = 2000;

    struct Bench {
        uplink: Uplink,
        now: Instant,
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            let silence = Duration::from_secs(1);
            Self { uplink: Uplink::new(SESSION, 1e6, WINDOW, Sharing::Turns, silence, now), now }
        }

        fn say(&mut self, port: u16, kind: Kind, flags: u8, at: u64, count: usize) -> Outcome {
            let header = Header {
                kind,
                flags,
                format: SampleFormat::Cf32,
                stream: 0,
                session: u32::from(port),
                peer_session: SESSION,
                count: 0,
                first_sample: at,
                limit: 0,
                sample_rate_hz: 1e6,
            };
            let mut bytes = Vec::new();
            write(&header, &vec![Complex32::new(1.0, 0.0); count], &mut bytes);
            self.uplink.handle(&parse(&bytes).expect("valid"), address(port), self.now)
        }

        /// The only grant that is due.
        fn grant(&mut self) -> (SocketAddr, Header) {
            let [grant] = self.uplink.advance(self.now).try_into().expect("one grant");
            grant
        }

        fn drain(&mut self) -> Vec<Item> {
            std::iter::from_fn(|| self.uplink.take()).collect()
        }
    }

    #[test]
    fn bursts_are_taken_one_after_another() {
        let mut bench = Bench::new();
        bench.say(1, Kind::Hello, flags::START_OF_BURST, 0, 0);
        bench.say(2, Kind::Hello, flags::START_OF_BURST, 500, 0);
        let (to, credit) = bench.grant();
        assert_eq!((to, credit.limit), (address(1), WINDOW));
        assert_eq!(bench.say(2, Kind::Samples, 0, 500, 10), Outcome::Junk);
        bench.say(1, Kind::Samples, flags::END_OF_BURST, 0, 10);
        let (to, credit) = bench.grant();
        assert_eq!((to, credit.limit), (address(2), 500 + WINDOW));
        bench.say(2, Kind::Samples, flags::END_OF_BURST, 500, 4);
        let burst = |n| Item::Samples(vec![Complex32::new(1.0, 0.0); n]);
        let expected = [Item::Start, burst(10), Item::End, Item::Start, burst(4), Item::End];
        assert_eq!(bench.drain(), expected);
    }

    #[test]
    fn lost_datagrams_become_zeros_and_a_lost_end_is_made_up_for() {
        let mut bench = Bench::new();
        bench.say(1, Kind::Hello, flags::START_OF_BURST, 0, 0);
        bench.uplink.advance(bench.now);
        bench.say(1, Kind::Samples, 0, 3, 2);
        let Outcome::Answer(answer) = bench.say(1, Kind::Hello, flags::END_OF_BURST, 8, 0) else {
            panic!("no answer");
        };
        assert_eq!((answer.kind, answer.first_sample), (Kind::Credit, 8));
        let samples: Vec<f32> = [0, 0, 0, 1, 1, 0, 0, 0].map(|re| re as f32).into();
        let samples = samples.iter().map(|re| Complex32::new(*re, 0.0)).collect();
        assert_eq!(bench.drain(), [Item::Start, Item::Samples(samples), Item::End]);
        assert_eq!(bench.uplink.totals.lost, 6);
    }

    #[test]
    fn never_holds_more_than_was_granted() {
        let mut bench = Bench::new();
        bench.say(1, Kind::Hello, flags::START_OF_BURST, 0, 0);
        let mut granted = 0;
        while let Some((_, credit)) = bench.uplink.advance(bench.now).pop() {
            granted = credit.limit;
            let at = bench.uplink.transmitters[0].expected;
            for first in (at..granted).step_by(100) {
                bench.say(1, Kind::Samples, 0, first, 100);
            }
        }
        assert_eq!(granted, WINDOW * QUEUE_WINDOWS);
        assert_eq!(bench.say(1, Kind::Samples, 0, granted, 100), Outcome::Junk);
        assert_eq!(bench.say(1, Kind::Samples, 0, 1 << 61, 100), Outcome::Junk);
        bench.say(1, Kind::Hello, 0, 1 << 61, 0);
        assert_eq!(bench.uplink.queues[0].samples(), granted);
    }

    #[test]
    fn silence_or_a_new_session_ends_half_a_burst() {
        for restart in [false, true] {
            let mut bench = Bench::new();
            bench.say(1, Kind::Hello, flags::START_OF_BURST, 0, 0);
            bench.uplink.advance(bench.now);
            bench.say(1, Kind::Samples, 0, 0, 10);
            assert_eq!(bench.uplink.take(), Some(Item::Start));
            if restart {
                // The same address says hello in the name of session 9.
                let mut bytes = Vec::new();
                let header = Header {
                    kind: Kind::Hello,
                    flags: flags::START_OF_BURST,
                    format: SampleFormat::Cf32,
                    stream: 0,
                    session: 9,
                    peer_session: SESSION,
                    count: 0,
                    first_sample: 0,
                    limit: 0,
                    sample_rate_hz: 1e6,
                };
                write(&header, &[], &mut bytes);
                let datagram = parse(&bytes).expect("valid");
                bench.uplink.handle(&datagram, address(1), bench.now);
            } else {
                bench.now += Duration::from_secs(2);
                bench.uplink.advance(bench.now);
            }
            assert_eq!(bench.drain(), [Item::End]);
            assert_eq!(bench.uplink.totals.given_up, 1);
        }
    }

    #[test]
    fn knows_eight_transmitters_and_no_more() {
        let mut bench = Bench::new();
        for port in 1..=20 {
            bench.say(port, Kind::Hello, flags::START_OF_BURST, 0, 0);
        }
        assert_eq!(bench.uplink.transmitters.len(), MAX_TRANSMITTERS);
        assert_eq!(bench.uplink.waiting.len(), MAX_TRANSMITTERS);
    }

    #[test]
    fn when_bursts_are_mixed_nobody_waits_for_another() {
        let mut bench = Bench::new();
        let silence = Duration::from_secs(1);
        bench.uplink = Uplink::new(SESSION, 1e6, WINDOW, Sharing::Mixed, silence, bench.now);
        for port in [1, 2] {
            bench.say(port, Kind::Hello, flags::START_OF_BURST, 0, 0);
        }
        let granted: Vec<SocketAddr> = bench.uplink.advance(bench.now).iter().map(|grant| grant.0).collect();
        assert_eq!(granted, [address(1), address(2)]);
        bench.say(2, Kind::Samples, 0, 0, 10);
        bench.say(1, Kind::Samples, flags::END_OF_BURST, 0, 20);
        bench.say(2, Kind::Samples, flags::END_OF_BURST, 10, 5);
        assert_eq!(bench.uplink.totals.bursts, 2);
        for (queue, count) in [(0, 20), (1, 15)] {
            let mut out = [Complex32::default(); 30];
            assert_eq!(bench.uplink.queues[queue].pull(&mut out, 1000), (count, 0));
            assert_eq!(out.iter().filter(|x| x.re == 1.0).count(), count);
        }
        // One that falls silent does not take the other's samples with it.
        bench.say(1, Kind::Hello, flags::START_OF_BURST, 20, 0);
        bench.uplink.advance(bench.now);
        bench.say(1, Kind::Samples, 0, 20, 7);
        bench.now += Duration::from_secs(2);
        bench.say(2, Kind::Hello, flags::START_OF_BURST, 15, 0);
        bench.uplink.advance(bench.now);
        assert_eq!(bench.uplink.totals.given_up, 1);
        assert_eq!((bench.uplink.queues[0].samples(), bench.uplink.transmitters.len()), (0, 1));
    }

    #[test]
    fn who_does_not_name_our_session_gets_an_answer_but_no_place() {
        let mut bench = Bench::new();
        bench.uplink.session = 1234;
        let outcome = bench.say(1, Kind::Hello, flags::START_OF_BURST, 0, 0);
        assert!(matches!(outcome, Outcome::Answer(h) if h.session == 1234 && h.peer_session == 1));
        assert!(bench.uplink.transmitters.is_empty());
    }
}
