//! Plain gradient descent, so that nothing but the network differs.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Tensor};
use firecraft_key::Key;

use crate::data::Data;

/// A classifier of images `[N, 64]`.
pub(crate) trait Network: Module + Sync {
    fn forward(&self, images: Tensor<2>) -> Tensor<2>;
}

/// How a network is trained.
#[derive(Clone, Copy)]
pub(crate) struct Training {
    pub(crate) batch_size: usize,
    pub(crate) rate: f64,
    pub(crate) epochs: u64,
    pub(crate) seed: u64,
}

impl Training {
    /// The trained network. A last batch that is too small is left out.
    pub(crate) fn run<N: Network>(self, mut network: N, data: &Data) -> N {
        let device = Device::flex().autodiff();
        let key = Key::from_seed(self.seed);
        for epoch in 0..self.epochs {
            let mut places: Vec<usize> = (0..data.train.len()).collect();
            key.fold(epoch).rng().shuffle(&mut places);
            for batch in places.chunks_exact(self.batch_size) {
                let (images, labels) = data.train.batch(batch, &device);
                let log = log_softmax(network.forward(images), 1);
                let loss = -log.gather(1, labels.unsqueeze_dim(1)).mean();
                let gradients = loss.backward();
                let rate = self.rate;
                network = network.map(&mut Descent { gradients, rate });
            }
        }
        network
    }
}

/// The share of the test images that the network gets wrong, in percent.
pub(crate) fn test_error<N: Network>(network: &N, data: &Data) -> f64 {
    let (images, labels) = data.test.all(&Device::flex());
    let said = network.valid().forward(images).argmax(1).flatten::<1>(0, 1);
    let right = said.equal(labels).int().sum().into_scalar::<i64>();
    100.0 * (1.0 - right as f64 / data.test.len() as f64)
}

/// One step of gradient descent.
struct Descent {
    gradients: Gradients,
    rate: f64,
}

impl ModuleMapper for Descent {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| match value.grad_remove(&mut self.gradients) {
            None => value,
            Some(gradient) => {
                let step = value.without_autodiff() - gradient.mul_scalar(self.rate);
                step.autodiff().require_grad()
            }
        })
    }
}
