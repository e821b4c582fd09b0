//! The textbook list decoder: every input on its own, every path with memory of its own.
//!
//! Reference: I. Tal, A. Vardy, "List decoding of polar codes", IEEE Trans. Inf. Theory 61(5), 2015.

/// The metrics of the best `list_size` paths, ascending, each with its inputs.
pub(super) fn decode(outputs: &[i16], is_information: &[bool], list_size: usize) -> Vec<(u64, Vec<u8>)> {
    let outputs: Vec<i64> = outputs.iter().map(|&llr| llr.into()).collect();
    let mut paths = vec![(0, Vec::new())];
    for &carries_bit in is_information {
        let mut next = Vec::new();
        for (metric, inputs) in paths {
            let llr = llr(&outputs, &inputs);
            for bit in 0..=u8::from(carries_bit) {
                let against = (llr < 0) != (bit == 1);
                let metric = metric + if against { llr.unsigned_abs() } else { 0 };
                let mut inputs = inputs.clone();
                inputs.push(bit);
                next.push((metric, inputs));
            }
        }
        next.sort();
        next.truncate(list_size);
        paths = next;
    }
    paths
}

/// LLR of the input that follows `inputs`.
fn llr(outputs: &[i64], inputs: &[u8]) -> i64 {
    let half = outputs.len() / 2;
    if half == 0 {
        return outputs[0];
    }
    let (first, second) = outputs.split_at(half);
    let pairs = first.iter().zip(second);
    if inputs.len() < half {
        let left: Vec<i64> = pairs.map(|(&a, &b)| a.signum() * b.signum() * a.abs().min(b.abs())).collect();
        llr(&left, inputs)
    } else {
        let sums = encode(&inputs[..half]);
        let right: Vec<i64> =
            pairs.zip(sums).map(|((&a, &b), sum)| if sum == 1 { b - a } else { b + a }).collect();
        llr(&right, &inputs[half..])
    }
}

/// x = u·F^{⊗n}.
pub(super) fn encode(inputs: &[u8]) -> Vec<u8> {
    let half = inputs.len() / 2;
    if half == 0 {
        return inputs.to_vec();
    }
    let (first, second) = (encode(&inputs[..half]), encode(&inputs[half..]));
    first.iter().zip(&second).map(|(a, b)| a ^ b).chain(second.iter().copied()).collect()
}
