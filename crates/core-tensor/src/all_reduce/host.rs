//! A sum over workers in host memory, as an operation of burn's backends.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData, read_sync};

use super::HostAllReduce;

/// The sum of `values`, which are `f32`, over all workers.
pub(super) fn sum(values: Tensor<1>, reduce: HostAllReduce) -> Tensor<1> {
    let sum = <Dispatch as ReduceBackend>::host_sum(values.into_dispatch(), reduce);
    Tensor::from_dispatch(sum)
}

#[backend_extension(Flex: cfg(feature = "flex"), Cube: cfg(feature = "cube"), Autodiff)]
pub(crate) trait ReduceBackend: Backend {
    fn host_sum(values: FloatTensor<Self>, reduce: HostAllReduce) -> FloatTensor<Self> {
        on_host::<Self>(values, &reduce)
    }
}

#[cfg(feature = "flex")]
impl ReduceBackend for burn::backend::Flex {}

#[cfg(feature = "cube")]
impl ReduceBackend for burn::backend::Cube {}

fn on_host<B: Backend>(values: FloatTensor<B>, reduce: &HostAllReduce) -> FloatTensor<B> {
    let device = values.device();
    let read = read_sync(B::float_into_data(values));
    let read = read.map(|data| (data.try_to_vec::<f32>(), data.shape().clone()));
    match read {
        Ok((Ok(mut values), shape)) => {
            (reduce.sum)(&mut values);
            B::float_from_data(TensorData::new(values, shape), &device)
        }
        // Nothing can be handed to the other workers, who wait: the program
        // can't go on.
        _ => panic!("AllReduce: the values can't be read back from their device"),
    }
}

#[derive(Debug)]
struct SumBackward;

impl<B: ReduceBackend> Backward<B, 1> for SumBackward {
    type State = HostAllReduce;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            grads.register::<B>(node.id, B::host_sum(gradient, ops.state));
        }
    }
}

impl<B: ReduceBackend, C: CheckpointStrategy> ReduceBackend for Autodiff<B, C> {
    fn host_sum(values: FloatTensor<Self>, reduce: HostAllReduce) -> FloatTensor<Self> {
        let prep = SumBackward
            .prepare::<C>([values.node()])
            .compute_bound()
            .stateful();
        let sum = B::host_sum(values.into_primitive(), reduce.clone());
        match prep {
            OpsKind::Tracked(prep) => prep.finish(reduce, sum),
            OpsKind::UnTracked(prep) => prep.finish(sum),
        }
    }
}
