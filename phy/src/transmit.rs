//! The transmit chain: frame → samples.
//!
//! control block and segments → transport blocks ([`crate::coding`]) → scrambled, modulated resource
//! elements ([`crate::modulation`]) → grid with pilots ([`crate::framing::grid`]) → OFDM symbols behind
//! header and preamble ([`crate::ofdm`], [`crate::sync::preamble`]). Unit mean power throughout.

use num_complex::Complex32;

use crate::{
    coding::transport_block::TransportBlockEncoder,
    framing::{
        Frame, FrameCost, FramingError, MAX_PAYLOAD_SYMBOLS, Segment, SegmentShape,
        control::{self, control_elements},
        grid::Grid,
        header::FrameHeader,
    },
    mode::Mode,
    modulation::{Modulation, mcs::Mcs, scrambler},
    numerology::Numerology,
    ofdm::Ofdm,
    sync::preamble::{preamble, preamble_samples},
};

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
            resource: Vec::new(),
        }
    }

    /// Data resource elements that `symbols` payload symbols leave for segments beside a control block for
    /// `segments` segments and `above` bytes of the layer above.
    pub fn capacity(&self, mode: Mode, symbols: usize, segments: usize, above: usize) -> usize {
        let plan = &self.plans[mode as usize];
        plan.grid
            .capacity(plan.header_symbols, symbols.min(MAX_PAYLOAD_SYMBOLS))
            .saturating_sub(control_elements(mode, control::block_bytes(segments, above)))
    }

    /// Appends a frame's samples to `out`.
    pub fn modulate(&mut self, frame: &Frame, out: &mut Vec<Complex32>) -> Result<FrameCost, FramingError> {
        let shapes: Vec<_> = frame.segments.iter().map(Segment::shape).collect();
        let block = control::write(&shapes, &frame.control)?;
        let payload: usize = shapes.iter().map(segment_elements).sum::<Result<_, _>>()?;
        let block_elements = control_elements(frame.mode, block.len());
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
                Segment::Analog { symbols } => self.elements.extend_from_slice(symbols),
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
        for (&position, &element) in self.positions.iter().zip(&self.elements) {
            self.resource[position as usize] = element;
        }

        let before = out.len();
        out.reserve(plan.preamble.len() + symbols * self.numerology.symbol_samples());
        out.extend_from_slice(&plan.preamble);
        for symbol in self.resource.chunks_exact(self.numerology.subcarriers()) {
            self.ofdm.modulate(symbol, self.numerology.cyclic_prefix, out);
        }
        let preamble = preamble_samples(frame.mode, &self.numerology);
        Ok(FrameCost {
            payload_symbols: payload,
            total_symbols: (preamble.div_ceil(self.numerology.symbol_samples()) + symbols)
                * self.numerology.subcarriers(),
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
