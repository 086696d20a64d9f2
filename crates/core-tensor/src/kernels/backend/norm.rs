//! Training steps of normalisations.

use burn::backend::Autodiff;
use burn::backend::AutodiffBackend;
use burn::backend::Backend;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::backend_extension;
use burn::backend::tensor::FloatTensor;

use crate::kernels::flex;

/// Training steps of normalisations, differentiable as one node each.
///
/// `mean + rest` is the mean in twice the precision of one number.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait NormBackend: Backend {
    /// `(output, mean, rest, variance)` for `x` `[N, C, S]`, `gamma` and `beta`
    /// `[C]`; with `relu`, the output is rectified.
    fn batch_norm_step(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );

    /// Gradients of `(x, gamma, beta)`.
    #[allow(clippy::too_many_arguments)]
    fn batch_norm_step_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rest: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `(output, mean, rest, variance)` for `x` `[N, P, Q, S]`, `gamma` and
    /// `beta` `[P * Q]`.
    fn group_norm_step(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        centre: bool,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    );

    /// Gradients of `(x, gamma, beta)`.
    #[allow(clippy::too_many_arguments)]
    fn group_norm_step_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rest: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        centre: bool,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[cfg(feature = "flex")]
impl NormBackend for burn::backend::Flex {
    fn batch_norm_step(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        flex::batch_norm::forward(x, gamma, beta, epsilon, relu).into()
    }

    fn batch_norm_step_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rest: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let statistics = [mean, rest, variance];
        flex::batch_norm::backward(x, [gamma, beta], statistics, epsilon, relu, gradient).into()
    }

    fn group_norm_step(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        centre: bool,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        flex::group_norm::forward(x, gamma, beta, centre, epsilon).into()
    }

    fn group_norm_step_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        rest: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        centre: bool,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let statistics = [mean, rest, variance];
        flex::group_norm::backward(x, gamma, statistics, centre, epsilon, gradient).into()
    }
}

/// Which of the operations.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Batch { relu: bool },
    Group { centre: bool },
}

/// What the backward of both operations needs: the nodes of `x`, `gamma` and
/// `beta`, the statistics, and epsilon.
type Saved<B> = ([NodeId; 3], [FloatTensor<B>; 3], Kind, f64);

#[derive(Debug)]
struct NormBackward;

impl<B: NormBackend> Backward<B, 3> for NormBackward {
    type State = Saved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [x_node, gamma_node, beta_node] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        let (inputs, [mean, rest, variance], kind, epsilon) = ops.state;
        let [x, gamma, beta] =
            inputs.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let (x, gamma, beta) = match kind {
            Kind::Batch { relu } => B::batch_norm_step_backward(
                x, gamma, beta, mean, rest, variance, gradient, epsilon, relu,
            ),
            Kind::Group { centre } => B::group_norm_step_backward(
                x, gamma, mean, rest, variance, gradient, centre, epsilon,
            ),
        };
        for (node, gradient) in [(x_node, x), (gamma_node, gamma), (beta_node, beta)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Output, mean, rest and variance.
type StepOutput<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Runs a step on the inner backend and records it as one node.
fn step<B: NormBackend, C: CheckpointStrategy>(
    [x, gamma, beta]: [FloatTensor<Autodiff<B, C>>; 3],
    kind: Kind,
    epsilon: f64,
) -> StepOutput<Autodiff<B, C>> {
    let run = |x, gamma, beta| match kind {
        Kind::Batch { relu } => B::batch_norm_step(x, gamma, beta, epsilon, relu),
        Kind::Group { centre } => B::group_norm_step(x, gamma, beta, centre, epsilon),
    };
    let prep = NormBackward
        .prepare::<C>([x.node(), gamma.node(), beta.node()])
        .compute_bound()
        .stateful();
    let (output, mean, rest, variance) = match prep {
        OpsKind::Tracked(mut prep) => {
            let nodes = [&x, &gamma, &beta].map(|input| prep.checkpoint(input));
            let (output, mean, rest, variance) = run(
                x.into_primitive(),
                gamma.into_primitive(),
                beta.into_primitive(),
            );
            let saved = [mean.clone(), rest.clone(), variance.clone()];
            let state = (nodes, saved, kind, epsilon);
            (prep.finish(state, output), mean, rest, variance)
        }
        OpsKind::UnTracked(prep) => {
            let (output, mean, rest, variance) = run(
                x.into_primitive(),
                gamma.into_primitive(),
                beta.into_primitive(),
            );
            (prep.finish(output), mean, rest, variance)
        }
    };
    let constant = <Autodiff<B, C> as AutodiffBackend>::from_inner;
    (output, constant(mean), constant(rest), constant(variance))
}

impl<B: NormBackend, C: CheckpointStrategy> NormBackend for Autodiff<B, C> {
    fn batch_norm_step(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        step::<B, C>([x, gamma, beta], Kind::Batch { relu }, epsilon)
    }

    fn batch_norm_step_backward(
        _x: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _beta: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _rest: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _epsilon: f64,
        _relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("burn differentiates once: a backward pass has no graph")
    }

    fn group_norm_step(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        centre: bool,
        epsilon: f64,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        step::<B, C>([x, gamma, beta], Kind::Group { centre }, epsilon)
    }

    fn group_norm_step_backward(
        _x: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _rest: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _centre: bool,
        _epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("burn differentiates once: a backward pass has no graph")
    }
}
