//! The transmit chain: frame → samples.
//!
//! control block and segments → transport blocks ([`crate::coding`]) → scrambled, modulated resource
//! elements ([`crate::modulation`]); analog symbols turned ([`crate::crest`]) and weighted → grid with pilots
//! ([`crate::framing::grid`]), by resource block if there is an allocation ([`crate::allocation`]) → peaks
//! lowered if asked for → OFDM symbols behind header and preamble ([`crate::ofdm`], [`crate::sync::preamble`]).
//! Unit mean power throughout.

use num_complex::Complex32;

use crate::{
    allocation::{FreeElements, Layout, LayoutError, Record, Strategy, amplitude},
    coding::transport_block::TransportBlockEncoder,
    crest::{self, Crest},
    framing::{
        Frame, FrameCost, FramingError, MAX_PAYLOAD_SYMBOLS, Segment, SegmentShape,
        control::{self, control_elements},
        grid::Grid,
        header::FrameHeader,
    },
    mode::{Mode, Protection},
    modulation::{Modulation, mcs::Mcs, scrambler},
    numerology::Numerology,
    ofdm::Ofdm,
    sync::preamble::{preamble, preamble_samples},
};

/// Passes of clipping and filtering.
const CREST_PASSES: usize = 4;

/// Scrambling of header, control block and segments: different for every part and every frame.
pub(crate) fn scrambling_seed(number: u16, part: usize) -> u32 {
    // Parts: 0 the header (the same for all frames), 1 the control block, 2 … the segments.
    match part {
        0 => 0x5EC4_0003 & 0x7FFF_FFFF,
        1 => 0x5EC4_0004 & 0x7FFF_FFFF,
        _ => u32::from(number) << 8 | part as u32,
    }
}

/// Data resource elements of a segment.
pub fn segment_elements(shape: &SegmentShape) -> Result<usize, FramingError> {
    match *shape {
        SegmentShape::Coded { mcs, bytes, .. } => {
            Ok(Mcs::from_index(mcs).ok_or(FramingError::Mcs(mcs))?.symbols_for_bytes(bytes))
        }
        SegmentShape::Analog { symbols } => Ok(symbols),
    }
}

/// Finds where the segments of a frame with an allocation lie; both ends do it alike.
#[derive(Default)]
pub(crate) struct Arrangement {
    free: FreeElements,
    layout: Layout,
}

impl Arrangement {
    /// `places` are those of the payload that the control block leaves, counted from the payload's first
    /// symbol. `None` if segments simply lie one after the other there.
    pub(crate) fn arrange(
        &mut self,
        record: &Record,
        elements: &[usize],
        symbols: usize,
        places: &[u32],
    ) -> Result<Option<&Layout>, LayoutError> {
        if record.strategy() == Strategy::None {
            return Ok(None);
        }
        self.free.set(record.resource_blocks(), places);
        let free = &self.free;
        self.layout.arrange(record, elements, symbols, |symbol, block| free.mask(symbol, block))?;
        Ok(Some(&self.layout))
    }
}

/// What of a mode is planned once.
struct ModePlan {
    grid: Grid,
    preamble: Vec<Complex32>,
    header_symbols: usize,
}

/// Makes samples of frames. Planned once; its buffers are kept from frame to frame.
pub struct Modulator {
    numerology: Numerology,
    ofdm: Ofdm,
    encoder: TransportBlockEncoder,
    plans: [ModePlan; 2],
    bits: Vec<u8>,
    elements: Vec<Complex32>,
    positions: Vec<u32>,
    arrangement: Arrangement,
    crest: Option<Crest>,
    /// All subcarriers of all symbols of header and payload.
    resource: Vec<Complex32>,
}

impl Modulator {
    /// Prepares for a numerology.
    pub fn new(numerology: Numerology) -> Self {
        let mut ofdm = Ofdm::new(numerology);
        let plans = Mode::ALL.map(|mode| ModePlan {
            grid: Grid::new(&numerology, mode),
            preamble: preamble(mode, &numerology, &mut ofdm),
            header_symbols: mode.header_symbols(&numerology),
        });
        Self {
            numerology,
            ofdm,
            encoder: TransportBlockEncoder::new(),
            plans,
            bits: Vec::new(),
            elements: Vec::new(),
            positions: Vec::new(),
            arrangement: Arrangement::default(),
            crest: None,
            resource: Vec::new(),
        }
    }

    /// Lowers the peaks of all symbols after the preamble towards `target_db` above the mean power, by clipping
    /// and filtering ([`Crest`]); `None`: leaves them as they are.
    pub fn limit_peaks(&mut self, target_db: Option<f32>) {
        self.crest = target_db.map(|target_db| Crest::new(&self.numerology, target_db, CREST_PASSES));
    }

    /// Data resource elements that `symbols` payload symbols leave for segments beside a control block for
    /// `segments` segments and `above` bytes of the layer above.
    pub fn capacity(
        &self,
        protection: impl Into<Protection>,
        symbols: usize,
        segments: usize,
        above: usize,
    ) -> usize {
        let protection = protection.into();
        let plan = &self.plans[protection.mode as usize];
        plan.grid
            .capacity(plan.header_symbols, symbols.min(MAX_PAYLOAD_SYMBOLS))
            .saturating_sub(control_elements(protection, control::block_bytes(segments, above)))
    }

    /// Appends a frame's samples to `out`.
    pub fn modulate(&mut self, frame: &Frame, out: &mut Vec<Complex32>) -> Result<FrameCost, FramingError> {
        let shapes: Vec<_> = frame.segments.iter().map(Segment::shape).collect();
        let allocation = frame.allocation.as_ref();
        if allocation.is_some_and(|record| record.resource_blocks() != self.numerology.resource_blocks) {
            return Err(FramingError::Allocation);
        }
        let block = control::write(&shapes, allocation, &frame.control)?;
        let segment_elements: Vec<_> = shapes.iter().map(segment_elements).collect::<Result<_, _>>()?;
        let payload: usize = segment_elements.iter().sum();
        let block_elements = control_elements(frame.protection(), block.len());
        let plan = &self.plans[frame.mode as usize];
        let header_symbols = plan.header_symbols;
        let header_elements = plan.grid.capacity(0, header_symbols);
        let payload_symbols = plan.grid.symbols_for(header_symbols, block_elements + payload);
        if payload_symbols > MAX_PAYLOAD_SYMBOLS {
            return Err(FramingError::TooLong(payload_symbols));
        }
        let header = FrameHeader {
            control_bytes: block.len(),
            payload_symbols,
            control_rate: frame.control_rate,
            number: frame.number,
            transmitter: frame.transmitter,
        };

        self.elements.clear();
        self.code(&header.to_bytes(), header_elements, Modulation::Qpsk, 0, scrambling_seed(0, 0))?;
        self.code(&block, block_elements, Modulation::Qpsk, 0, scrambling_seed(frame.number, 1))?;
        for (index, segment) in frame.segments.iter().enumerate() {
            match segment {
                Segment::Coded { mcs, redundancy_version, bytes } => {
                    let step = Mcs::from_index(*mcs).ok_or(FramingError::Mcs(*mcs))?;
                    let seed = scrambling_seed(frame.number, 2 + index);
                    let elements = step.symbols_for_bytes(bytes.len());
                    self.code(bytes, elements, step.modulation(), *redundancy_version, seed)?;
                }
                Segment::Analog { symbols } => {
                    let first = self.elements.len();
                    self.elements.extend_from_slice(symbols);
                    let own = &mut self.elements[first..];
                    crest::rotate(scrambling_seed(frame.number, 2 + index), own);
                    let offset = allocation.map_or(0, |record| record.power_offsets()[index]);
                    if offset != 0 {
                        own.iter_mut().for_each(|symbol| *symbol *= amplitude(offset));
                    }
                }
            }
        }

        let plan = &self.plans[frame.mode as usize];
        let symbols = header_symbols + payload_symbols;
        self.resource.clear();
        for symbol in 0..symbols {
            self.resource.extend_from_slice(plan.grid.row(symbol));
        }
        self.positions.clear();
        plan.grid.positions(0, symbols, &mut self.positions);
        let in_order = header_elements + block_elements;
        let above = (header_symbols * self.numerology.subcarriers()) as u32;
        let layout = match allocation {
            Some(record) => {
                let free = &mut self.positions[in_order..];
                free.iter_mut().for_each(|position| *position -= above);
                self.arrangement.arrange(record, &segment_elements, payload_symbols, free)?
            }
            None => None,
        };
        if let Some(layout) = layout {
            let mut next = in_order;
            for (segment, &count) in segment_elements.iter().enumerate() {
                let region = &mut self.resource[above as usize..];
                layout.scatter(segment, &self.elements[next..next + count], region);
                next += count;
            }
            self.elements.truncate(in_order);
        } else if allocation.is_some() {
            self.positions[in_order..].iter_mut().for_each(|position| *position += above);
        }
        for (&position, &element) in self.positions.iter().zip(&self.elements) {
            self.resource[position as usize] = element;
        }
        if let Some(crest) = &mut self.crest {
            let subcarriers = self.numerology.subcarriers();
            for (symbol, values) in self.resource.chunks_exact_mut(subcarriers).enumerate() {
                crest.reduce(values, plan.grid.pilots(symbol));
            }
        }

        let before = out.len();
        out.reserve(plan.preamble.len() + symbols * self.numerology.symbol_samples());
        out.extend_from_slice(&plan.preamble);
        for symbol in self.resource.chunks_exact(self.numerology.subcarriers()) {
            self.ofdm.modulate(symbol, self.numerology.cyclic_prefix, out);
        }
        let preamble = preamble_samples(frame.mode, &self.numerology);
        let subcarriers = self.numerology.subcarriers();
        Ok(FrameCost {
            payload,
            preamble: preamble.div_ceil(self.numerology.symbol_samples()) * subcarriers,
            header: header_elements,
            control: block_elements,
            pilots: symbols * subcarriers - self.positions.len(),
            padding: self.positions.len() - in_order - payload,
            samples: out.len() - before,
        })
    }

    fn code(
        &mut self,
        bytes: &[u8],
        elements: usize,
        modulation: Modulation,
        redundancy_version: u8,
        seed: u32,
    ) -> Result<(), FramingError> {
        let order = modulation.bits_per_symbol();
        self.bits.clear();
        self.encoder.encode(
            bytes,
            elements * usize::from(order),
            order,
            redundancy_version,
            &mut self.bits,
        )?;
        scrambler::scramble_bits(seed, &mut self.bits);
        modulation.map(&self.bits, &mut self.elements);
        Ok(())
    }
}
