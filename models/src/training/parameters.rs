//! A network's numbers as plain vectors, and their exponential moving average.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// The numbers of a network, tensor by tensor in the order in which the network lists them.
pub type Parameters = Vec<Vec<f32>>;

struct Reader(Parameters);

impl ModuleVisitor for Reader {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().into_data().iter::<f32>().collect());
    }
}

struct Writer<'a>(std::slice::Iter<'a, Vec<f32>>);

impl ModuleMapper for Writer<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = self.0.next().cloned();
        param.map(|tensor| match values {
            Some(values) => Tensor::from_data(TensorData::new(values, tensor.dims()), &tensor.device()),
            None => tensor,
        })
    }
}

/// Copies the numbers out.
pub fn read<M: Module>(network: &M) -> Parameters {
    let mut reader = Reader(Vec::new());
    network.visit(&mut reader);
    reader.0
}

/// A copy of the network with other numbers, which must come from a network of the same shape.
pub fn write<M: Module>(network: M, parameters: &Parameters) -> M {
    network.map(&mut Writer(parameters.iter()))
}

/// Moves `average` towards `now`, keeping `keep` of it.
pub fn average(average: &mut Parameters, now: &Parameters, keep: f32) {
    for (average, now) in average.iter_mut().zip(now) {
        for (average, now) in average.iter_mut().zip(now) {
            *average = keep * *average + (1.0 - keep) * now;
        }
    }
}
