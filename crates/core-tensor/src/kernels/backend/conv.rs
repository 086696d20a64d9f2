//! Convolutions.

use burn::backend::Autodiff;
use burn::backend::Backend;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::backend_extension;
use burn::backend::tensor::FloatTensor;

use crate::kernels::conv::Geometry;
use crate::kernels::flex;

/// A convolution and the two halves of its gradient; the geometry has all
/// shapes.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait ConvBackend: Backend {
    /// The output for `x` and `weight`.
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// The gradient of `x` from that of the output.
    fn convolve_backward_input(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// The gradient of `weight` from that of the output.
    fn convolve_backward_weight(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl ConvBackend for burn::backend::Flex {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        flex::conv::forward(x, weight, geometry)
    }

    fn convolve_backward_input(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        flex::conv::backward_input(weight, gradient, geometry)
    }

    fn convolve_backward_weight(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        flex::conv::backward_weight(x, gradient, geometry)
    }
}

#[derive(Debug)]
struct ConvBackward;

impl<B: ConvBackend> Backward<B, 2> for ConvBackward {
    type State = ([NodeId; 2], Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [x_node, weight_node] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        let (inputs, geometry) = ops.state;
        let [x, weight] =
            inputs.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        // Images have no gradient: the first layer saves half of its work.
        if let Some(node) = x_node {
            let x = B::convolve_backward_input(weight, gradient.clone(), geometry);
            grads.register::<B>(node.id, x);
        }
        if let Some(node) = weight_node {
            let weight = B::convolve_backward_weight(x, gradient, geometry);
            grads.register::<B>(node.id, weight);
        }
    }
}

impl<B: ConvBackend, C: CheckpointStrategy> ConvBackend for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let prep = ConvBackward
            .prepare::<C>([x.node(), weight.node()])
            .compute_bound()
            .stateful();
        match prep {
            OpsKind::Tracked(mut prep) => {
                let nodes = [&x, &weight].map(|input| prep.checkpoint(input));
                let y = B::convolve(x.into_primitive(), weight.into_primitive(), geometry);
                prep.finish((nodes, geometry), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::convolve(
                x.into_primitive(),
                weight.into_primitive(),
                geometry,
            )),
        }
    }

    fn convolve_backward_input(
        _weight: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _geometry: Geometry,
    ) -> FloatTensor<Self> {
        unreachable!("burn differentiates once: a backward pass has no graph")
    }

    fn convolve_backward_weight(
        _x: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _geometry: Geometry,
    ) -> FloatTensor<Self> {
        unreachable!("burn differentiates once: a backward pass has no graph")
    }
}
