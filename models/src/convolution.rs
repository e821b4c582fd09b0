//! Convolutions as they run where nothing is learned: on the CPU a product of matrices for every strip of rows, whose
//! operands stay in the cache; elsewhere, and in training, the tensor library's own.
//!
//! The library's CPU kernel turns the whole input, the weights and the output round, one value at a time, for every
//! convolution. Here the rows under a strip are copied as they lie, once for each place in the kernel, the product goes
//! where the output belongs, and bias, addition and rectifier happen in the same pass.
//!
//! Shapes are `[batch, channel, height, width]`.

use std::cell::RefCell;

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use gemm::Parallelism;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Values of the gathered operand of one strip, at most: 512 KiB, half of a core's second-level cache of today.
const STRIP_VALUES: usize = 128 * 1024;
/// Fewer products than this are not worth a second thread.
const LEAST_PRODUCTS: usize = 1 << 20;

/// `layer` of `input`, plus `added` if there is any, negative values cut off if `rectified`.
///
/// Square kernels, equal strides and equal padding on all sides take the fast path. The sum over channels is taken in
/// another order than the library's: results differ by rounding.
pub fn convolve(layer: &Conv2d, input: Tensor<4>, added: Option<Tensor<4>>, rectified: bool) -> Tensor<4> {
    let device = input.device();
    let here = device == Device::flex() && !device.is_autodiff();
    if here && let Some(geometry) = Geometry::of(layer, input.dims()) {
        return on_cpu(layer, input, added, rectified, &geometry, &device);
    }
    let output = layer.forward(input);
    let output = match added {
        Some(added) => output + added,
        None => output,
    };
    if rectified { relu(output) } else { output }
}

/// Sizes of one convolution.
struct Geometry {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    outputs: usize,
    rows: usize,
    columns: usize,
}

impl Geometry {
    /// `None` if the layer is not of the kind that is computed here.
    fn of(layer: &Conv2d, [batch, channels, height, width]: [usize; 4]) -> Option<Self> {
        let [outputs, inputs, kernel, across] = layer.weight.dims();
        let pad = match layer.padding {
            PaddingConfig2d::Valid => 0,
            PaddingConfig2d::Explicit(top, left, bottom, right) if [left, bottom, right] == [top; 3] => top,
            _ => return None,
        };
        let stride = layer.stride[0];
        let plain = inputs == channels && kernel == across && layer.groups == 1 && layer.dilation == [1, 1];
        if !plain || layer.stride[1] != stride || height + 2 * pad < kernel || width + 2 * pad < kernel {
            return None;
        }
        let places = |size: usize| (size + 2 * pad - kernel) / stride + 1;
        let (rows, columns) = (places(height), places(width));
        let empty = batch * channels * outputs * kernel == 0;
        (!empty).then_some(Self {
            batch,
            channels,
            height,
            width,
            kernel,
            stride,
            pad,
            outputs,
            rows,
            columns,
        })
    }

    /// Values under the kernel at one place.
    fn depth(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Whether places of the output are those of the input, so that nothing has to be gathered.
    fn pointwise(&self) -> bool {
        (self.kernel, self.stride, self.pad) == (1, 1, 0)
    }

    /// Rows of the output in a strip.
    fn strip_rows(&self) -> usize {
        let row = self.depth() * self.columns;
        let threads =
            if row * self.rows * self.outputs < LEAST_PRODUCTS { 1 } else { rayon::current_num_threads() };
        (STRIP_VALUES / row).min(self.rows.div_ceil(threads)).max(1)
    }

    /// What lies under the kernel at each place of `count` output rows from `first` on: `[depth, count · columns]`.
    fn gather(&self, input: &[f32], first: usize, count: usize, out: &mut Vec<f32>) {
        out.clear();
        for plane in input.chunks_exact(self.height * self.width) {
            for (down, right) in
                (0..self.kernel).flat_map(|down| (0..self.kernel).map(move |right| (down, right)))
            {
                // The first column within the picture, and the first beyond.
                let start = self.pad.saturating_sub(right).div_ceil(self.stride).min(self.columns);
                let end = (self.width + self.pad)
                    .saturating_sub(right)
                    .div_ceil(self.stride)
                    .clamp(start, self.columns);
                for row in first..first + count {
                    let Some(from) = (row * self.stride + down)
                        .checked_sub(self.pad)
                        .and_then(|row| plane.chunks_exact(self.width).nth(row))
                    else {
                        out.resize(out.len() + self.columns, 0.0);
                        continue;
                    };
                    out.resize(out.len() + start, 0.0);
                    if start < end {
                        let from = &from[start * self.stride + right - self.pad..];
                        if self.stride == 1 {
                            out.extend_from_slice(&from[..end - start]);
                        } else {
                            out.extend(from.iter().step_by(self.stride).take(end - start));
                        }
                    }
                    out.resize(out.len() + self.columns - end, 0.0);
                }
            }
        }
    }
}

/// An output that threads fill, each its own strips.
struct Output(*mut f32);

// SAFETY: strips do not overlap, and nobody reads before all are done.
unsafe impl Sync for Output {}

thread_local! {
    /// The gathered operand, kept from strip to strip.
    static GATHERED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

fn on_cpu(
    layer: &Conv2d,
    input: Tensor<4>,
    added: Option<Tensor<4>>,
    rectified: bool,
    geometry: &Geometry,
    device: &Device,
) -> Tensor<4> {
    let input = values(input.into_data());
    let weights = values(layer.weight.val().into_data());
    let bias = layer.bias.as_ref().map(|bias| values(bias.val().into_data()));
    let shape = [geometry.batch, geometry.outputs, geometry.rows, geometry.columns];
    let size: usize = shape.iter().product();
    // What is added is where the sums begin.
    let (mut output, begun) = match added {
        Some(added) => {
            let added = values(added.into_data());
            assert_eq!(added.len(), size, "what is added has the size of the output");
            (added, true)
        }
        None => (vec![0.0; size], false),
    };
    let out_plane = geometry.rows * geometry.columns;
    let in_picture = geometry.channels * geometry.height * geometry.width;
    let strip_rows = geometry.strip_rows();
    let strips = geometry.rows.div_ceil(strip_rows);
    let target = Output(output.as_mut_ptr());
    let target = &target;
    let strip = |index: usize| {
        let (picture, first) = (index / strips, index % strips * strip_rows);
        let count = strip_rows.min(geometry.rows - first);
        let (start, length) = (first * geometry.columns, count * geometry.columns);
        let from = &input[picture * in_picture..][..in_picture];
        let rows_of = |channel: usize| {
            let at = (picture * geometry.outputs + channel) * out_plane + start;
            // SAFETY: channel < outputs, picture < batch and start + length <= out_plane keep it within `output`;
            // each strip is visited once, so no other slice of these values exists.
            unsafe { std::slice::from_raw_parts_mut(target.0.add(at), length) }
        };
        for channel in 0..geometry.outputs {
            let bias = bias.as_ref().map_or(0.0, |bias| bias[channel]);
            if !begun {
                rows_of(channel).fill(bias);
            } else if bias != 0.0 {
                rows_of(channel).iter_mut().for_each(|value| *value += bias);
            }
        }
        let multiply = |gathered: &[f32], stride: usize| {
            let depth = geometry.depth();
            assert!(
                gathered.len() >= (depth - 1) * stride + length && weights.len() == geometry.outputs * depth
            );
            let first = (picture * geometry.outputs) * out_plane + start;
            // SAFETY: `weights` holds outputs × depth values and `gathered` depth rows of `length` values at `stride`, as
            // asserted; the target's rows are those of `rows_of`, all within `output`.
            unsafe {
                gemm::gemm(
                    geometry.outputs,
                    length,
                    depth,
                    target.0.add(first),
                    1,
                    out_plane as isize,
                    true,
                    weights.as_ptr(),
                    1,
                    depth as isize,
                    gathered.as_ptr(),
                    1,
                    stride as isize,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    Parallelism::None,
                );
            }
        };
        if geometry.pointwise() {
            multiply(&from[start..], out_plane);
        } else {
            GATHERED.with_borrow_mut(|gathered| {
                geometry.gather(from, first, count, gathered);
                multiply(gathered, length);
            });
        }
        if rectified {
            for channel in 0..geometry.outputs {
                rows_of(channel).iter_mut().for_each(|value| *value = value.max(0.0));
            }
        }
    };
    (0..geometry.batch * strips).into_par_iter().for_each(strip);
    Tensor::from_data(TensorData::new(output, shape), device)
}

/// The values of data that are on the CPU.
fn values(data: TensorData) -> Vec<f32> {
    data.try_into_vec_as::<f32>().expect("values on the CPU can be read as f32")
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Distribution;

    use super::*;

    /// The largest difference from the library's, over all sizes, kernels and strides.
    #[test]
    fn it_agrees_with_the_library() {
        let device = Device::flex();
        device.seed(3);
        let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let mut compared = 0;
        for (kernel, stride, pad) in [(1, 1, 0), (3, 1, 1), (3, 2, 1), (5, 2, 2), (2, 2, 0), (3, 1, 0)] {
            for shape in [[1, 3, 1, 1], [2, 5, 7, 3], [1, 48, 40, 33], [1, 128, 16, 16], [3, 2, 64, 90]] {
                let [batch, channels, height, width] = shape;
                if height + 2 * pad < kernel || width + 2 * pad < kernel {
                    continue;
                }
                let layer = Conv2dConfig::new([channels, 20], [kernel, kernel])
                    .with_stride([stride, stride])
                    .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                    .init(&device);
                let input = random(shape);
                let expected = layer.forward(input.clone());
                let [_, _, rows, columns] = expected.dims();
                let added = random([batch, 20, rows, columns]);
                let both = [
                    (convolve(&layer, input.clone(), None, false), expected.clone()),
                    (convolve(&layer, input, Some(added.clone()), true), relu(expected + added)),
                ];
                for (ours, theirs) in both {
                    assert_eq!(ours.dims(), theirs.dims());
                    let most = values((ours - theirs).abs().max().into_data())[0];
                    assert!(
                        most < 1e-4,
                        "{most} with kernel {kernel}, stride {stride}, pad {pad}, {shape:?}"
                    );
                    compared += 1;
                }
            }
        }
        assert!(compared > 40);
    }

    /// Kernels that are not square are left to the library.
    #[test]
    fn other_layers_work_too() {
        let device = Device::flex();
        let layer = Conv2dConfig::new([2, 3], [1, 3]).init(&device);
        let input = Tensor::<4>::ones([1, 2, 4, 5], &device);
        let expected = relu(layer.forward(input.clone()));
        assert_eq!(convolve(&layer, input, None, true).into_data(), expected.into_data());
    }
}
