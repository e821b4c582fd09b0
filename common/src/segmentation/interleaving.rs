//! Interleaving of analog symbols: neighbours in the feature travel far apart.
//!
//! Position i on the air carries symbol (i · stride) mod n of the feature, with a stride near the golden
//! section of n and coprime to it. So each frame has the feature's mean power, and a lost frame thins
//! the whole picture out instead of tearing a hole.

/// The stride for a feature of `length` symbols.
fn stride(length: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let start = ((length as f64 * 0.618_033_988_75) as usize).max(1);
    (start..).find(|&candidate| gcd(candidate, length) == 1).unwrap_or(1)
}

/// The feature's index of every position on the air.
pub fn order(length: usize) -> impl Iterator<Item = usize> {
    let stride = if length > 0 { stride(length) % length.max(1) } else { 0 };
    let mut next = 0;
    (0..length).map(move |_| {
        let index = next;
        next += stride;
        if next >= length {
            next -= length;
        }
        index
    })
}

/// Feature order → order on the air.
pub fn interleave<T: Copy>(feature: &[T]) -> Vec<T> {
    order(feature.len()).map(|index| feature[index]).collect()
}

/// Order on the air → feature order.
pub fn deinterleave<T: Copy + Default>(air: &[T]) -> Vec<T> {
    let mut feature = vec![T::default(); air.len()];
    for (index, &value) in order(air.len()).zip(air) {
        feature[index] = value;
    }
    feature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        for length in (0..200).chain([4096, 24_576, 65_537]) {
            let feature: Vec<usize> = (0..length).collect();
            assert_eq!(deinterleave(&interleave(&feature)), feature, "length {length}");
        }
    }

    #[test]
    fn neighbours_are_far_apart() {
        let air = interleave(&(0..10_000i64).collect::<Vec<_>>());
        assert!(air.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 1000));
    }
}
